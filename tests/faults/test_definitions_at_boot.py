"""A broker that boots from what is deployed has all that the services need, and no user `guest`."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from shared.broker.connect import open_broker
from shared.broker.interface import BrokerRefused
from shared.broker.topology import WATCH
from tests.faults.servers import Servers
from tests.faults.system import Places, Ways, in_thread, prepared
from tests.faults.trial import Report, under_load
from tests.infrastructure import Broker, rabbitmq_defined
from tests.support.repository import ROOT

pytestmark = pytest.mark.chaos

DEPLOYED: Final = ROOT / "deploy" / "rabbitmq"
IN_THE_CONTAINER: Final = "/run/secrets/definitions.json"
PASSWORD: Final = "deployed"  # noqa: S105 - of nobody else's


def login_as(url: str, login: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture(scope="module")
def booted() -> Generator[Broker]:
    definitions = (DEPLOYED / "definitions.json").read_text()
    for placeholder in ("@CONSUMPTION@", "@RECOMMENDATION@", "@OPERATOR@"):
        definitions = definitions.replace(placeholder, PASSWORD)
    settings = (DEPLOYED / "upnext.conf").read_text()
    assert IN_THE_CONTAINER in settings
    settings = settings.replace(IN_THE_CONTAINER, "@DEFINITIONS@")
    with rabbitmq_defined(settings, definitions, f"operator:{PASSWORD}") as broker:
        yield broker


async def test_there_is_no_user_whose_password_everybody_knows(booted: Broker) -> None:
    async with open_broker(login_as(booted.url, "guest:guest")) as broker:
        with pytest.raises(BrokerRefused, match="refuses the login"):
            async with broker.publisher(WATCH):
                pytest.fail("guest may come in")


async def test_services_learn_on_it_also_after_it_booted_again(
    booted: Broker, servers: Servers, places: Places, tmp_path: Path, report: Report
) -> None:
    ways = replace(
        Ways.straight_to(places),
        publishing=login_as(booted.url, f"consumption:{PASSWORD}"),
        consuming=login_as(booted.url, f"recommendation:{PASSWORD}"),
    )
    async with prepared(servers, places, tmp_path, ways) as system:
        await system.start()
        async with under_load("F21 broker booted from definitions", system, report) as trial:
            await in_thread(booted.kill)
            await trial.load.more(50)
            await in_thread(booted.start)
            await trial.recovered()
