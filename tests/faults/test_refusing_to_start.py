"""A service that cannot do its work ends with one sentence, and says no secret in it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from recommendation_service.settings import RecommendationSettings
from shared.errors import CannotStart
from shared.process.settings import read_settings
from tests.faults.service import END_TIMEOUT, service
from tests.faults.system import Places

SERVICES = pytest.mark.parametrize("package", ["consumption_service", "recommendation_service"])
SECRET = "s3cret"  # noqa: S105 - nobody's password


def with_login(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=path))


def database_of(package: str, url: str) -> Mapping[str, str]:
    return {f"{package.removesuffix('_service').upper()}_DATABASE_URL": url}


async def last_words(
    package: str, folder: Path, settings: Mapping[str, str], *arguments: str
) -> str:
    """Start a service that has to refuse, and return what it says."""
    with service(package, folder, settings) as refusing:
        refusing.module += arguments
        refusing.start()
        code = await asyncio.to_thread(refusing.wait, END_TIMEOUT)
        said = refusing.log()
    assert code == 1, said
    assert "Traceback" not in said
    assert SECRET not in said
    lines = said.strip().splitlines()
    assert lines[-1].startswith("upnext: ")
    assert len(lines) == 1, said
    return lines[-1]


@SERVICES
async def test_a_wrong_login_at_the_broker(package: str, places: Places, tmp_path: Path) -> None:
    database = database_of(package, places.consumption_database)
    broker = {"AMQP_URL": with_login(places.amqp, f"guest:{SECRET}")}

    said = await last_words(package, tmp_path, {**database, **broker})

    assert "refuses the login of user 'guest'" in said


@SERVICES
@pytest.mark.chaos
async def test_a_virtual_host_that_does_not_exist(
    package: str, places: Places, tmp_path: Path
) -> None:
    database = database_of(package, places.consumption_database)
    broker = {"AMQP_URL": with_path(places.amqp, "/nowhere")}

    said = await last_words(package, tmp_path, {**database, **broker})

    assert "no virtual host 'nowhere'" in said


@SERVICES
async def test_a_database_that_does_not_exist(package: str, places: Places, tmp_path: Path) -> None:
    url = with_path(with_login(places.consumption_database, f"postgres:{SECRET}"), "/nowhere")

    said = await last_words(
        package, tmp_path, {**database_of(package, url), "AMQP_URL": places.amqp}
    )

    assert 'database "nowhere" does not exist' in said


@SERVICES
@pytest.mark.chaos
async def test_a_login_that_the_database_does_not_know(
    package: str, places: Places, tmp_path: Path
) -> None:
    url = with_login(places.consumption_database, f"nobody:{SECRET}")

    said = await last_words(
        package, tmp_path, {**database_of(package, url), "AMQP_URL": places.amqp}
    )

    assert '"nobody" does not exist' in said


@SERVICES
@pytest.mark.chaos
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"AMQP_URL": f"http://u:{SECRET}@localhost/"}, "must look like amqp://"),
        ({"AMQP_URL": f"amqp://u:{SECRET}@localhost:port/"}, "must look like amqp://"),
        ({"_DATABASE_URL": f"mysql://u:{SECRET}@localhost/"}, "supported: postgresql, sqlite"),
        ({"_DATABASE_URL": f"//u:{SECRET}@localhost"}, "is not a URL"),
        ({"_PORT": "many"}, "_PORT: Input should be a valid integer"),
    ],
)
async def test_a_setting_that_cannot_be_meant(
    package: str, wrong: Mapping[str, str], why: str, places: Places, tmp_path: Path
) -> None:
    prefix = package.removesuffix("_service").upper()
    named = {f"{prefix}{name}" if name[0] == "_" else name: wrong[name] for name in wrong}
    fine = {**database_of(package, places.consumption_database), "AMQP_URL": places.amqp}

    assert why in await last_words(package, tmp_path, {**fine, **named})


@pytest.mark.parametrize("wrong", ["0", "65", "a few"])
def test_partitions_that_cannot_be(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTITIONS", wrong)

    with pytest.raises(CannotStart, match="PARTITIONS: Input should be"):
        read_settings(RecommendationSettings)


async def test_partitions_without_rabbitmq(tmp_path: Path) -> None:
    said = await last_words("upnext", tmp_path, {"PARTITIONS": "2"}, "run")

    assert "PARTITIONS needs RabbitMQ" in said
