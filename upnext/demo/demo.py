"""Demo: simulated learners watch, and three of them are told what to watch next."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Final

import httpx
import typer
from rich.console import Console

from shared.clock import utc_now
from shared.errors import CannotStart
from shared.uuid7 import new_id
from upnext.credentials import credentials
from upnext.demo.stream import SimulatedWatch, catalogue, title
from upnext.post_watches import MAX_BATCH, Lane, Posted, open_lanes
from upnext.progress_bar import Show, progress

IN_FLIGHT: Final = 4  # requests at a time
PATIENCE: Final = 60.0  # seconds without any answer
ANSWER_TIMEOUT: Final = 30.0  # seconds
LEARNING_PATIENCE: Final = 60.0  # seconds without anything learned
LOOK_INTERVAL: Final = 0.05  # seconds between two looks at what is learned
TOLD: Final = 3  # learners
SHOWN: Final = 5  # watches, and recommendations, of each
REASONS: Final = 3  # of each recommendation


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two services are."""

    consumption: str
    recommendation: str


async def demo(services: Services, watches: Sequence[SimulatedWatch], console: Console) -> None:
    """Post the watches, wait until they are learned, and show what came of it.

    Raises `CannotStart` when a service is not there.
    """
    async with httpx.AsyncClient(
        base_url=services.recommendation,
        headers=credentials(),
        timeout=ANSWER_TIMEOUT,
        trust_env=False,
    ) as client:
        before = await _applied(client)
        await _describe_lessons(client)
        await _post_all(services.consumption, watches, console)
        posted = time.monotonic()
        await _wait_until_learned(client, before + len(watches), console)
        seconds = time.monotonic() - posted
        typer.echo(f"{len(watches):,} watches are recorded, and learned {seconds:.2f} s later.")
        for user_id in _liveliest(watches):
            await _tell(client, user_id, watches)
    _point_further(services, watches[-1])


async def _describe_lessons(client: httpx.AsyncClient) -> None:
    answer = await client.post("/lessons/batch", json={"items": catalogue()})
    if answer.is_error:
        raise CannotStart(f"The service refused the lessons: {answer.json()['detail']}")


async def _post_all(url: str, watches: Sequence[SimulatedWatch], console: Console) -> None:
    async with open_lanes(url, IN_FLIGHT, PATIENCE) as lanes:
        with progress(console, "Watching", len(watches)) as show:
            counted = _counted(_posted(watches), show)
            await asyncio.gather(*(_post(lane, counted) for lane in lanes))
            show(len(watches))


async def _post(lane: Lane, watches: Iterator[Posted]) -> None:
    while batch := list(islice(watches, MAX_BATCH)):
        for answer in await lane.post(batch):
            if answer.reason:
                raise CannotStart(f"The service refused a watch: {answer.reason}.")


def _posted(watches: Sequence[SimulatedWatch]) -> Iterator[Posted]:
    now = utc_now()
    for watch in watches:
        occurred_at = (now - timedelta(seconds=watch.age)).isoformat()
        body = (
            f'{{"user_id":{watch.user_id},"lesson_id":{watch.lesson_id},'
            f'"position":{watch.position},"duration":{watch.duration},'
            f'"occurred_at":"{occurred_at}"}}'
        )
        yield Posted(body.encode(), b"demo-%b" % str(new_id()).encode())


def _counted(watches: Iterator[Posted], show: Show) -> Iterator[Posted]:
    for done, watch in enumerate(watches):
        show(done)
        yield watch


async def _applied(client: httpx.AsyncClient) -> int:
    return int((await _get(client, "/stats"))["events"]["applied"])


async def _wait_until_learned(client: httpx.AsyncClient, wanted: int, console: Console) -> None:
    applied, deadline = 0, time.monotonic() + LEARNING_PATIENCE
    with console.status("Learning"):
        while (now_applied := await _applied(client)) < wanted:
            if now_applied > applied:
                applied, deadline = now_applied, time.monotonic() + LEARNING_PATIENCE
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"{wanted - applied:,} watches are recorded and not learned: look at "
                    f"{client.base_url}/health/ready and the services' log."
                )
            await asyncio.sleep(LOOK_INTERVAL)


async def _get(client: httpx.AsyncClient, path: str, **query: Any) -> Mapping[str, Any]:
    try:
        answer = await client.get(path, params=query)
        answer.raise_for_status()
        found: Mapping[str, Any] = answer.json()
    except (httpx.HTTPStatusError, ValueError) as error:
        raise CannotStart(f"This is not the recommendation service: {error}") from None
    except httpx.TransportError:
        raise CannotStart(
            f"Nobody answers at {client.base_url}. Start the services with: make run"
        ) from None
    return found


def _liveliest(watches: Sequence[SimulatedWatch]) -> list[int]:
    """Return the learners who watched last."""
    latest = dict.fromkeys(watch.user_id for watch in reversed(watches))
    return list(latest)[:TOLD]


async def _tell(client: httpx.AsyncClient, user_id: int, watches: Sequence[SimulatedWatch]) -> None:
    path = f"/users/{user_id}/recommendations"
    answer = await _get(client, path, limit=SHOWN, explain=True)
    mine = [title(watch.lesson_id) for watch in watches if watch.user_id == user_id]
    typer.echo(f"\nLearner {user_id} watched {', '.join(mine[-SHOWN:])} last. Up next:")
    for item in answer["items"]:
        because = [title(one["lesson_id"]) for one in item["because"] or ()][:REASONS]
        reason = f"because you watched {', '.join(because)}" if because else "because it is popular"
        name = f"{title(item['lesson_id'])} ({item['lesson_id']})"
        typer.echo(f"  {name:<18}{item['score']:7.3f}  {reason}")
    typer.echo(f"  (lag {answer['lag_ms']} ms)")


def _point_further(services: Services, watch: SimulatedWatch) -> None:
    known, learned = services.consumption, services.recommendation
    typer.echo(
        "\nLesson 304 is the fourth lesson of course 3. Look further:\n"
        f"  curl '{learned}/users/{watch.user_id}/recommendations?explain=true'\n"
        f"  curl '{learned}/lessons/{watch.lesson_id}/next'\n"
        f"  curl '{learned}/lessons/popular'\n"
        f"  curl '{known}/watches?user_id={watch.user_id}'\n"
        f"  curl '{learned}/stats'\n"
        f"  {known}/docs and {learned}/docs"
    )
