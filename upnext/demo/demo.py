"""Demo: simulated learners watch, and three of them get recommendations."""

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
from upnext.post_batches import MAX_BATCH, BatchItem, BatchPoster, open_posters
from upnext.progress_bar import Show, progress

IN_FLIGHT: Final = 4  # requests at a time
RETRY_TIMEOUT: Final = 60.0  # seconds without any answer
REQUEST_TIMEOUT: Final = 30.0  # seconds
LEARNING_TIMEOUT: Final = 60.0  # seconds without anything learned
POLL_INTERVAL: Final = 0.05  # seconds between two polls of the learned watches
SHOWN_LEARNERS: Final = 3
SHOWN_LESSONS: Final = 5  # watched, and recommended, for each learner
SHOWN_REASONS: Final = 3  # for each recommendation


@dataclass(frozen=True, slots=True)
class Services:
    """The addresses of the two services."""

    consumption: str
    recommendation: str


async def demo(services: Services, watches: Sequence[SimulatedWatch], console: Console) -> None:
    """Post the watches, wait until they are learned, and show some recommendations.

    Raises `CannotStart` when a service cannot be reached.
    """
    async with httpx.AsyncClient(
        base_url=services.recommendation,
        headers=credentials(),
        timeout=REQUEST_TIMEOUT,
        trust_env=False,
    ) as client:
        before = await _applied(client)
        await _describe_lessons(client)
        await _post_all(services.consumption, watches, console)
        posted = time.monotonic()
        await _wait_until_learned(client, before + len(watches), console)
        seconds = time.monotonic() - posted
        typer.echo(f"{len(watches):,} watches are recorded, and learned {seconds:.2f} s later.")
        for user_id in _latest_learners(watches):
            await _show(client, user_id, watches)
    _show_examples(services, watches[-1])


async def _describe_lessons(client: httpx.AsyncClient) -> None:
    answer = await client.post("/lessons/batch", json={"items": catalogue()})
    if answer.is_error:
        raise CannotStart(f"The service refused the lessons: {answer.json()['detail']}")


async def _post_all(url: str, watches: Sequence[SimulatedWatch], console: Console) -> None:
    async with open_posters(url, IN_FLIGHT, RETRY_TIMEOUT) as posters:
        with progress(console, "Watching", len(watches)) as show:
            items = _counting(_batch_items(watches), show)
            await asyncio.gather(*(_post(poster, items) for poster in posters))
            show(len(watches))


async def _post(poster: BatchPoster, items: Iterator[BatchItem]) -> None:
    while batch := list(islice(items, MAX_BATCH)):
        for result in await poster.post(batch):
            if result.reason:
                raise CannotStart(f"The service refused a watch: {result.reason}.")


def _batch_items(watches: Sequence[SimulatedWatch]) -> Iterator[BatchItem]:
    now = utc_now()
    for watch in watches:
        occurred_at = (now - timedelta(seconds=watch.age)).isoformat()
        body = (
            f'{{"user_id":{watch.user_id},"lesson_id":{watch.lesson_id},'
            f'"position":{watch.position},"duration":{watch.duration},'
            f'"occurred_at":"{occurred_at}"}}'
        )
        yield BatchItem(body.encode(), b"demo-%b" % str(new_id()).encode())


def _counting(items: Iterator[BatchItem], show: Show) -> Iterator[BatchItem]:
    for done, item in enumerate(items):
        show(done)
        yield item


async def _applied(client: httpx.AsyncClient) -> int:
    return int((await _get(client, "/stats"))["events"]["applied"])


async def _wait_until_learned(client: httpx.AsyncClient, wanted: int, console: Console) -> None:
    applied, deadline = 0, time.monotonic() + LEARNING_TIMEOUT
    with console.status("Learning"):
        while (now_applied := await _applied(client)) < wanted:
            if now_applied > applied:
                applied, deadline = now_applied, time.monotonic() + LEARNING_TIMEOUT
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"{wanted - applied:,} watches are recorded and not learned: look at "
                    f"{client.base_url}/health/ready and the services' log."
                )
            await asyncio.sleep(POLL_INTERVAL)


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


def _latest_learners(watches: Sequence[SimulatedWatch]) -> list[int]:
    """Return the learners with the latest watches."""
    latest = dict.fromkeys(watch.user_id for watch in reversed(watches))
    return list(latest)[:SHOWN_LEARNERS]


async def _show(client: httpx.AsyncClient, user_id: int, watches: Sequence[SimulatedWatch]) -> None:
    path = f"/users/{user_id}/recommendations"
    answer = await _get(client, path, limit=SHOWN_LESSONS, explain=True)
    mine = [title(watch.lesson_id) for watch in watches if watch.user_id == user_id]
    typer.echo(f"\nLearner {user_id} watched {', '.join(mine[-SHOWN_LESSONS:])} last. Up next:")
    for item in answer["items"]:
        because = [title(one["lesson_id"]) for one in item["because"] or ()][:SHOWN_REASONS]
        reason = f"because you watched {', '.join(because)}" if because else "because it is popular"
        name = f"{title(item['lesson_id'])} ({item['lesson_id']})"
        typer.echo(f"  {name:<18}{item['score']:7.3f}  {reason}")
    typer.echo(f"  (lag {answer['lag_ms']} ms)")


def _show_examples(services: Services, watch: SimulatedWatch) -> None:
    consumption, recommendation = services.consumption, services.recommendation
    typer.echo(
        "\nLesson 304 is the fourth lesson of course 3. Look further:\n"
        f"  curl '{recommendation}/users/{watch.user_id}/recommendations?explain=true'\n"
        f"  curl '{recommendation}/lessons/{watch.lesson_id}/next'\n"
        f"  curl '{recommendation}/lessons/popular'\n"
        f"  curl '{consumption}/watches?user_id={watch.user_id}'\n"
        f"  curl '{recommendation}/stats'\n"
        f"  {consumption}/docs and {recommendation}/docs"
    )
