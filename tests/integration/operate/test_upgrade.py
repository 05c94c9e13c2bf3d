"""An upgrade without a pause: the last release and this version side by side.

On one database for each service and one queue, which are migrated while the release is at work.
The release is taken from the history of this repository, and runs with the libraries of today.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

import consumption_service
import recommendation_service
from recommendation_service.learn.load_model import load_model
from shared.access.keys import new_key
from shared.database.database import open_database
from shared.database.migrate import migrate
from tests.faults.service import Service, service
from tests.support.commands import run_command
from tests.support.eventually import PATIENCE, eventually
from tests.support.http_client import open_client
from tests.support.repository import ROOT

LAST_RELEASE: Final = "bdca5e9"  # the commit; a tag, once there is one


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the last release."""
    folder = tmp_path_factory.mktemp("release")
    archive = run_command(
        ["git", "archive", LAST_RELEASE],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.fail(
            f"The last release, {LAST_RELEASE}, is not in the history here: fetch all of it."
            f" git says: {archive.stderr.decode().strip()}"
        )
    run_command(["tar", "--extract"], cwd=folder, input=archive.stdout, check=True)
    return folder


@pytest.fixture
def settings(
    postgres_database: str, another_postgres_database: str, amqp_vhost: str
) -> dict[str, str]:
    """One database for each service, and one virtual host, for all processes."""
    return {
        "CONSUMPTION_DATABASE_URL": postgres_database,
        "RECOMMENDATION_DATABASE_URL": another_postgres_database,
        "AMQP_URL": amqp_vhost,
    }


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts services, which are gone when the stack is closed."""

    folder: Path
    settings: Mapping[str, str]
    stack: ExitStack

    async def start(self, package: str, **more: str) -> Service:
        """Start one, and wait until it is ready."""
        one = self.stack.enter_context(service(package, self.folder, {**self.settings, **more}))
        one.start()
        await one.until_ready()
        return one

    async def start_both(self, **more: str) -> tuple[Service, Service]:
        """Start the recommendation service, and then the one that fills its queue."""
        learning = await self.start("recommendation_service", **more)
        return await self.start("consumption_service", **more), learning


async def test_the_last_release_and_this_version_serve_side_by_side(
    release: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        starter = Starter(tmp_path, settings, stack)
        old = await starter.start_both(PYTHONPATH=str(release))
        watches = [await record(old[0], user, lesson) for user in (1, 2) for lesson in (10, 11)]
        await learned(old[1], 4)

        await migrate_all(settings)

        new = await starter.start_both(AUTO_MIGRATE="false")
        watches += [await record(one[0], 3, 10 + n) for n, one in enumerate((old, new, old, new))]
        for n, place in enumerate(watches):
            await report((old, new)[n % 2][0], place)
        for one in (old, new):
            await learned(one[1], 16)
            assert await recommends(one[1], 2)
        # Whatever the release wrote, this version reads it as if it had written all of it.
        assert await fingerprint(new[1]) == await folded_anew(settings)

        await stop(*old)
        await record(new[0], 4, 10)
        await learned(new[1], 17)


async def stop(*services: Service) -> None:
    for one in services:
        one.ask_to_stop()
        assert one.wait(PATIENCE) is not None


async def migrate_all(settings: Mapping[str, str]) -> None:
    for package in (consumption_service, recommendation_service):
        url = settings[f"{package.__name__.removesuffix('_service').upper()}_DATABASE_URL"]
        async with open_database(url) as database:
            await migrate(database, package)


async def record(service: Service, user_id: int, lesson_id: int) -> str:
    body = {"user_id": user_id, "lesson_id": lesson_id, "position": 10}
    async with open_client(service.url) as client:
        answer = await client.post("/watches", json=body, headers={"Idempotency-Key": new_key()})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def report(service: Service, place: str) -> None:
    async with open_client(service.url) as client:
        answer = await client.patch(place, json={"position": 20})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "applied"


async def learned(service: Service, count: int) -> None:
    """Wait until this many events are learned, and none more."""

    async def enough() -> bool:
        return bool((await service.get("/stats"))["events"]["applied"] >= count)

    await eventually(enough)
    events = (await service.get("/stats"))["events"]
    assert (events["applied"], events["parked"]) == (count, 0)


async def fingerprint(service: Service) -> str:
    return str((await service.get("/stats"))["model"]["fingerprint"])


async def folded_anew(settings: Mapping[str, str]) -> str:
    """Return the fingerprint of a model made of the database alone."""
    url = settings["RECOMMENDATION_DATABASE_URL"]
    async with open_database(url) as database, database.snapshot() as connection:
        return f"{(await load_model(connection)).fingerprint:032x}"


async def recommends(service: Service, user_id: int) -> bool:
    return bool((await service.get(f"/users/{user_id}/recommendations"))["items"])
