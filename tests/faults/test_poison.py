"""Messages that can never be processed, among those that can."""

from collections.abc import Sequence

import aio_pika
from aio_pika.abc import HeadersType

from shared.broker.topology import WATCH
from tests.faults.system import System
from tests.faults.trial import Report, under_load

GOOD = b'{"user_id": 1, "lesson_id": 1, "position": 1}'


def poison() -> Sequence[tuple[str, bytes, HeadersType, str]]:
    """Return bad messages: routing key, body, headers, message id."""
    early = b'{"user_id": 1, "lesson_id": 1, "position": 1, "occurred_at": "%s"}'
    return [
        ("created", b"", {}, "empty"),
        ("created", b"\xff\x00", {}, "binary"),
        ("created", b"[" * 50_000, {}, "deep"),
        ("created", b"1" * 100_000, {}, "large"),
        ("created", early % b"0001-01-01T00:00:00+14:00", {}, "before time"),
        ("created", early % b"9999-12-31T23:59:59-14:00", {}, "after time"),
        ("created", b"{}", {"x-schema-version": 99}, "from the future"),
        ("created", b"{}", {"nothing": "\x00"}, "odd headers"),
        ("created", b"{}", {"x-delivery-count": 2**62}, "often"),
        ("created", b"{}", {}, "nul \x00 in its id"),
        ("removed", GOOD, {}, "unknown kind"),
        ("nul\x00", GOOD, {}, "nul in its key"),
        ("deleted", GOOD, {}, "of nothing"),
    ]


async def publish(amqp: str, messages: Sequence[tuple[str, bytes, HeadersType, str]]) -> None:
    """Publish as a careless producer would."""
    async with await aio_pika.connect(amqp) as connection, connection.channel() as channel:
        exchange = await channel.get_exchange(WATCH.name)
        for routing_key, body, headers, message_id in messages:
            message = aio_pika.Message(body, headers=headers, message_id=message_id)
            await exchange.publish(message, routing_key)


async def test_poison_is_parked_and_its_neighbours_are_learned(
    system: System, report: Report
) -> None:
    messages = poison()
    async with under_load("F16 poison among healthy messages", system, report) as trial:
        for message in messages:
            await trial.load.more(10)
            await publish(system.places.amqp, [message])
        await trial.recovered()
        trial.parked = len(messages)

    parked = (await system.recommendation.get("/parked"))["items"]
    assert len(parked) == len(messages)
    assert all(message["detail"] for message in parked)
