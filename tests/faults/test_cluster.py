"""RabbitMQ is a cluster of three, and loses one node: killed, mute, cut off, or restarted."""

from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.cluster import Cluster, Clustered, clustered, running_cluster
from tests.faults.servers import Servers, frozen
from tests.faults.system import fresh_places, in_thread
from tests.faults.trial import Report, Trial, under_load

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster]:
    """Three nodes that run."""
    with running_cluster() as running:
        yield running


@pytest_asyncio.fixture
async def product(servers: Servers, cluster: Cluster, tmp_path: Path) -> AsyncGenerator[Clustered]:
    """Both services, running on the cluster."""
    with fresh_places(replace(servers, broker=cluster.nodes[0])) as places:
        async with clustered(servers, cluster, places, tmp_path) as running:
            try:
                yield running
            finally:
                await in_thread(cluster.heal)


def assert_accepted(trial: Trial) -> None:
    """Every request was answered with 201, whatever the cluster did."""
    assert trial.answers.statuses.keys() == {"201"}


async def test_the_leader_may_be_killed(product: Clustered, report: Report) -> None:
    async with under_load("F23 cluster: leader killed", product.system, report) as trial:
        for _ in range(3):
            leader = await product.leader()
            await trial.load.more(200)
            await in_thread(leader.kill)
            await trial.load.more(300)
            await trial.recovered()  # with two nodes of three
            await in_thread(leader.start)
            await product.leader()

    assert_accepted(trial)


async def test_the_leader_may_be_mute(product: Clustered, report: Report) -> None:
    async with under_load("F23 cluster: leader paused", product.system, report) as trial:
        leader = await product.leader()
        await trial.load.more(200)
        with frozen(leader):
            await trial.load.more(300)
            await trial.recovered()  # with two nodes of three
        await product.leader()
        await trial.recovered()

    assert_accepted(trial)


async def test_a_follower_may_be_mute(product: Clustered, report: Report) -> None:
    async with under_load("F23 cluster: follower paused", product.system, report) as trial:
        leader = await product.leader()
        replica = next(node for node in product.cluster.nodes if node is not leader)
        await trial.load.more(200)
        with frozen(replica):
            await trial.load.more(300)
            await trial.recovered()
        await product.leader()
        await trial.recovered()

    assert_accepted(trial)


async def test_the_nodes_may_be_restarted_one_after_the_other(
    product: Clustered, report: Report
) -> None:
    async with under_load("F23 cluster: rolling restart", product.system, report) as trial:
        for node in product.cluster.nodes:
            await trial.load.more(200)
            await in_thread(node.stop)
            await trial.load.more(200)
            await in_thread(node.start)
            await product.leader()
            await trial.recovered()

    assert_accepted(trial)


async def test_a_node_may_be_cut_off_from_the_others(product: Clustered, report: Report) -> None:
    async with under_load("F23 cluster: leader cut off", product.system, report) as trial:
        leader = await product.leader()
        await trial.load.more(200)
        with product.cluster.cut_off(leader):
            await trial.load.more(300)
            await trial.recovered()  # with two nodes of three
        await product.leader()
        await trial.recovered()

    assert_accepted(trial)
