"""Batches: one bad delivery is parked, and neither stops the queue nor is lost."""

from collections.abc import Sequence

import pytest

from recommendation_service.consume.batches import process_batch
from recommendation_service.event import ParkReason, Unprocessable
from recommendation_service.learn.parked_messages import RejectedDelivery
from shared.broker.interface import Delivery
from shared.database import retry
from shared.database.database import DatabaseUnavailable


def deliveries(*bodies: str) -> list[Delivery]:
    return [
        Delivery(tag, None, "created", body.encode(), None, None, {}, False, 0)  # noqa: FBT003
        for tag, body in enumerate(bodies)
    ]


def parse(delivery: Delivery) -> str:
    if delivery.body == b"unreadable":
        raise Unprocessable(ParkReason.UNREADABLE, "it is")
    return delivery.body.decode()


class Store:
    """A transaction that fails for one text, and at first for want of a database."""

    def __init__(self, fatal: str = "", outages: int = 0) -> None:
        self.fatal = fatal
        self.outages = outages
        self.stored: list[str] = []
        self.parked: list[tuple[str, ParkReason]] = []

    async def commit(
        self, texts: Sequence[str], rejected: Sequence[RejectedDelivery]
    ) -> Sequence[str]:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable("away")
        if self.fatal in texts:
            raise ZeroDivisionError
        self.stored += texts
        self.parked += [(one.delivery.body.decode(), one.why.reason) for one in rejected]
        return texts


async def test_a_batch_is_one_transaction() -> None:
    store = Store()

    results = await process_batch(deliveries("a", "unreadable", "b"), parse, store.commit, "test")

    assert results == store.stored == ["a", "b"]
    assert store.parked == [("unreadable", ParkReason.UNREADABLE)]


async def test_a_delivery_that_cannot_be_stored_is_parked_alone() -> None:
    store = Store(fatal="b")

    results = await process_batch(deliveries("a", "b", "c"), parse, store.commit, "test")

    assert results == store.stored == ["a", "c"]
    assert store.parked == [("b", ParkReason.NOT_LEARNABLE)]


async def test_nothing_is_parked_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.0)
    store = Store(outages=3)

    await process_batch(deliveries("a"), parse, store.commit, "test")

    assert store.stored == ["a"]
    assert store.parked == []
