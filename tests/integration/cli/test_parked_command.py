"""`upnext parked` on the running product: what an operator does about messages set aside."""

from collections.abc import Generator, Mapping
from pathlib import Path
from uuid import uuid4

import kombu
import pytest

from tests.support.eventually import eventually
from tests.support.product import Product, running_product

BODY = '{"user_id": [/bold]'  # what a table of rich would choke on
MESSAGE_ID = "from-a-careless-producer"


@pytest.fixture
def product(
    tmp_path: Path,
    postgres_database: str,
    another_postgres_database: str,
    amqp_vhost: str,
) -> Generator[Product]:
    settings: Mapping[str, str] = {
        "CONSUMPTION_DATABASE_URL": postgres_database,
        "RECOMMENDATION_DATABASE_URL": another_postgres_database,
        "AMQP_URL": amqp_vhost,
    }
    with running_product(tmp_path, settings) as running:
        yield running


async def listed(product: Product, amqp: str) -> str:
    """Publish a message that cannot be read; return the line that tells of it."""
    with kombu.Connection(amqp) as connection, connection.Producer() as producer:
        exchange = kombu.Exchange("watch", type="topic")
        options = {"routing_key": "created", "message_id": MESSAGE_ID}
        producer.publish(BODY, exchange=exchange, **options)
    await eventually(lambda: product.stats()["events"]["parked"])
    (line,) = product.run("parked", "list").stdout.splitlines()
    return line


async def test_a_parked_message_is_listed_shown_tried_again_and_discarded(
    product: Product, amqp_vhost: str
) -> None:
    line = await listed(product, amqp_vhost)
    parked_id = line.split()[0]

    shown = product.run("parked", "show", parked_id)
    again = product.run("parked", "redeliver", parked_id)
    discarded = product.run("parked", "discard", parked_id)

    assert "unreadable: Invalid JSON" in line
    assert shown.returncode == 0, shown.stderr
    told = dict(one.split(":", 1) for one in shown.stdout.split("\n\n")[0].splitlines())
    told = {name: value.strip() for name, value in told.items()}
    assert told["message_id"] == MESSAGE_ID
    assert (told["routing_key"], told["reason"], told["attempts"]) == ("created", "unreadable", "1")
    assert shown.stdout.endswith(f"\n\n{BODY}\n")
    assert again.returncode == 1
    assert "still cannot be processed" in again.stderr
    assert discarded.stdout == "discarded\n"
    assert product.stats()["events"]["parked"] == 0


def test_a_message_that_is_not_there_is_one_sentence(product: Product) -> None:
    for command in ("show", "redeliver", "discard"):
        missing = product.run("parked", command, uuid4())

        assert missing.returncode == 1
        assert missing.stderr.startswith("upnext: There is no parked message ")
        assert len(missing.stderr.splitlines()) == 1
