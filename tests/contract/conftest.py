"""Both brokers, and RabbitMQ by its plain client, each with nothing declared yet."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.broker.in_process import InProcessBroker
from shared.broker.interface import Broker
from shared.broker.rabbitmq import partitions
from shared.broker.rabbitmq.broker import RabbitMQ
from shared.broker.rabbitmq.wire import PLAIN
from tests.contract.partitions import Api


@pytest_asyncio.fixture(params=["in_process", "rabbitmq", "rabbitmq_plain"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A broker that keeps the contract, one after the other."""
    if request.param == "in_process":
        yield InProcessBroker()
        return
    client = PLAIN if request.param == "rabbitmq_plain" else None
    rabbitmq = RabbitMQ(request.getfixturevalue("amqp_vhost"), client=client)
    yield rabbitmq
    await rabbitmq.close()


@pytest_asyncio.fixture
async def rabbitmq(amqp_vhost: str) -> AsyncIterator[RabbitMQ]:
    """RabbitMQ alone, for what only it can do."""
    rabbitmq = RabbitMQ(amqp_vhost)
    yield rabbitmq
    await rabbitmq.close()


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes or goes is noticed soon."""
    monkeypatch.setattr(partitions, "INTERVAL", 0.05)


@pytest.fixture
def api(amqp_management_url: str, amqp_vhost: str) -> Api:
    return Api(amqp_management_url, amqp_vhost)
