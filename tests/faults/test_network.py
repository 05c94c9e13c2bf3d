"""A network between two parts refuses, resets, falls silent, drags or tears."""

import pytest

from tests.faults.load import CLIENTS
from tests.faults.network import Network, Wires
from tests.faults.system import System
from tests.faults.trial import Report, Trial, under_load
from tests.support.eventually import eventually

TEARS = (1, 7, 100, 1000)  # bytes that still arrive: within a frame's header, and later
WHILE_SILENT = {"recording": 2 * CLIENTS}  # answers to wait for; of the others 1000

# Without its database the consumption service cannot promise anything, and says so.
EXPECTED = {"recording": {"201", "503"}}


BROKER = ["publishing", "consuming"]
ALL = [*BROKER, "recording", "learning"]  # and the ways to the databases


@pytest.fixture(params=BROKER)
def wire(request: pytest.FixtureRequest, wires: Wires) -> Network:
    """One of the ways, the only one with a fault."""
    network: Network = getattr(wires, request.param)
    return network


def side(request: pytest.FixtureRequest) -> str:
    """Return which way it is about."""
    return str(request.node.callspec.id)


def assert_honest(trial: Trial, request: pytest.FixtureRequest) -> None:
    """Every request was answered, and with an error only when there was no other way."""
    expected = EXPECTED.get(request.node.callspec.params["wire"], {"201"})
    assert trial.answers.statuses.keys() <= expected


@pytest.mark.chaos
async def test_a_network_that_refuses_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: refused", wired, report) as trial:
        for _ in range(3):
            wire.refuse()
            await trial.load.answered(200)
            await wire.open()
            await trial.load.more(20)
            await trial.recovered()

    assert_honest(trial, request)


@pytest.mark.chaos
@pytest.mark.parametrize("wire", ALL, indirect=True)
async def test_a_network_that_resets_connections_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: reset", wired, report) as trial:
        for _ in range(5):
            await trial.load.more(50)
            wire.reset()
            await trial.recovered()

    assert_honest(trial, request)


@pytest.mark.chaos
@pytest.mark.parametrize("wire", ALL, indirect=True)
@pytest.mark.parametrize("way", ["to_server", "from_server"])
async def test_a_network_that_falls_silent_in_one_direction_loses_nothing(
    wired: System, wire: Network, way: str, report: Report, request: pytest.FixtureRequest
) -> None:
    direction = getattr(wire, way)
    async with under_load(f"F7 {side(request)}: silent", wired, report) as trial:
        direction.flowing.clear()
        await trial.load.answered(WHILE_SILENT.get(request.node.callspec.params["wire"], 1000))
        wire.heal()  # what was on its way is gone
        await trial.load.more(20)
        await trial.recovered()

    assert_honest(trial, request)


@pytest.mark.chaos
@pytest.mark.parametrize("wire", ALL, indirect=True)
async def test_a_peer_that_is_silent_for_good_is_noticed_and_left(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F7 {side(request)}: silent until noticed", wired, report) as trial:
        wire.to_server.flowing.clear()
        wire.from_server.flowing.clear()
        before = wire.accepted
        await eventually(lambda: wire.accepted > before)  # it tries another connection
        wire.to_server.flowing.set()
        wire.from_server.flowing.set()
        await trial.load.more(20)
        await trial.recovered()

    assert_honest(trial, request)


@pytest.mark.chaos
async def test_a_slow_network_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: 0.2 s late", wired, report) as trial:
        wire.to_server.delay = wire.from_server.delay = 0.2
        await trial.load.more(500)
        await trial.recovered()
        wire.to_server.delay = wire.from_server.delay = 0.0

    assert_honest(trial, request)


@pytest.mark.chaos
async def test_a_connection_that_is_torn_in_mid_frame_loses_nothing(
    wired: System, wire: Network, report: Report, request: pytest.FixtureRequest
) -> None:
    async with under_load(f"F8 {side(request)}: cut in mid-frame", wired, report) as trial:
        for direction in (wire.to_server, wire.from_server):
            for size in TEARS:
                await trial.load.more(20)
                direction.bytes_left = size
                await eventually(direction.is_torn)
            await trial.recovered()

    assert_honest(trial, request)
