"""The network between a service and the broker refuses, resets, falls silent, drags or tears."""

import pytest

from tests.eventually import eventually
from tests.faults.network import Network
from tests.faults.system import System
from tests.faults.trial import Report, under_load

TEARS = (1, 7, 100, 1000)  # bytes that still arrive: within a frame's header, and later


@pytest.fixture(params=[0, 1], ids=["publishing", "consuming"])
def wire(request: pytest.FixtureRequest, wires: list[Network]) -> Network:
    """One of the two ways, the only one with a fault."""
    return wires[int(request.param)]


def side(request: pytest.FixtureRequest) -> str:
    """Return which side's network it is about."""
    return str(request.node.callspec.id)


@pytest.mark.chaos
async def test_a_network_that_refuses_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: refused", wired, report) as trial:
        for _ in range(3):
            wire.refuse()
            await trial.load.more(200)
            await wire.open()
            await trial.recovered()


@pytest.mark.chaos
async def test_a_network_that_resets_connections_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: reset", wired, report) as trial:
        for _ in range(10):
            await trial.load.more(50)
            wire.reset()
            await trial.recovered()


@pytest.mark.chaos
@pytest.mark.parametrize("way", ["to_broker", "from_broker"])
async def test_a_network_that_falls_silent_in_one_direction_loses_nothing(
    wired: System, wire: Network, way: str, report: Report, request: pytest.FixtureRequest
) -> None:
    direction = getattr(wire, way)
    async with under_load(f"F7 {side(request)}: silent", wired, report) as trial:
        direction.flowing.clear()
        await trial.load.more(1000)
        wire.reset()  # what was on its way is gone
        direction.flowing.set()
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}


@pytest.mark.chaos
async def test_a_peer_that_is_silent_for_good_is_noticed_and_left(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F7 {side(request)}: silent until noticed", wired, report) as trial:
        wire.to_broker.flowing.clear()
        wire.from_broker.flowing.clear()
        before = wire.accepted
        await eventually(lambda: wire.accepted > before, timeout=60)  # it tries another connection
        wire.to_broker.flowing.set()
        wire.from_broker.flowing.set()
        await trial.recovered()

    assert trial.answers.statuses.keys() == {"201"}


@pytest.mark.chaos
async def test_a_slow_network_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: 0.2 s late", wired, report) as trial:
        wire.to_broker.delay = wire.from_broker.delay = 0.2
        await trial.load.more(500)
        await trial.recovered()
        wire.to_broker.delay = wire.from_broker.delay = 0.0


@pytest.mark.chaos
async def test_a_connection_that_is_torn_in_mid_frame_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: cut in mid-frame", wired, report) as trial:
        for direction in (wire.to_broker, wire.from_broker):
            for size in TEARS:
                await trial.load.more(20)
                direction.bytes_left = size
                await eventually(direction.is_torn, timeout=30)
                await trial.recovered()
