"""Databases that are empty for every run of a machine, and intervals that are worth waiting for."""

import gc
from collections.abc import Generator
from datetime import timedelta

import pytest

from consumption_service import app
from consumption_service.publish import confirmed_events, outbox_relay
from recommendation_service.learn import histories, recent_interactions
from recommendation_service.serve import batched_reads, recommender
from shared.broker import reconnect
from tests.infrastructure import fresh_database


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done now and then is done at once."""
    monkeypatch.setattr(outbox_relay, "RELAY_GRACE", timedelta(0))
    monkeypatch.setattr(outbox_relay, "RELAY_INTERVAL", 0.02)
    monkeypatch.setattr(confirmed_events, "DELETE_INTERVAL", 0.02)
    monkeypatch.setattr(reconnect, "RECONNECT_DELAY", 0.02)
    monkeypatch.setattr(app, "DRAIN_TIMEOUT", 0.05)


@pytest.fixture(autouse=True)
def garbage_again() -> Generator[None]:
    """Machines set aside what is there before them, for whoever looks for garbage; this ends it."""
    yield
    gc.unfreeze()
    gc.collect()  # so that what a machine left open is said of the test that ran it


@pytest.fixture
def long_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history counts as long when it has a dozen meetings."""
    monkeypatch.setattr(histories, "RECENT", 12)
    monkeypatch.setattr(batched_reads, "SHORT_HISTORY", 12)
    for module in (recent_interactions, recommender):
        monkeypatch.setattr(module, "MAX_HISTORY", 14)


@pytest.fixture
def another_database(
    database_url: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    """One more database of the same kind."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path_factory.mktemp('another')}/test.sqlite"
        return
    with fresh_database(request.getfixturevalue("postgres_url")) as url:
        yield url
