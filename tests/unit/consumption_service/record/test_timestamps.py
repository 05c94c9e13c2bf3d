"""Timestamps: each is allocated once, they only go forward, and blocks end in their order."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import pytest_asyncio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from consumption_service.record.timestamps import NEVER, TICK, TimestampAllocator
from tests.support.eventually import within

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEADLINE = 5.0  # seconds; nothing here waits for anything but other tasks

# Clocks that stand still, go forward, or are set back; and the events of each transaction.
clocks = st.lists(
    st.tuples(st.integers(-5, 5).map(lambda ticks: NOON + TICK * ticks), st.integers(1, 4)),
    min_size=2,
    max_size=8,
)


async def allocated(times: TimestampAllocator, about: datetime, events: int) -> datetime:
    async with asyncio.timeout(DEADLINE), times.commit_in_order() as allocate:
        return allocate(about, events)


@settings(phases=[Phase.generate])  # to shrink what fails by a deadline would take minutes
@given(clocks)
def test_no_two_events_have_the_same_time(asked: Sequence[tuple[datetime, int]]) -> None:
    times = TimestampAllocator()

    async def allocate_all() -> list[datetime]:
        return [await allocated(times, about, events) for about, events in asked]

    firsts = asyncio.run(allocate_all())

    assert all(first >= about for first, (about, _) in zip(firsts, asked, strict=True))
    for (first, following), (_, events) in zip(pairwise(firsts), asked, strict=False):
        assert following > first + TICK * (events - 1)


async def test_the_clock_decides_while_it_goes_forward(times: TimestampAllocator) -> None:
    assert await allocated(times, NOON, 1) == NOON
    assert await allocated(times, NOON + timedelta(seconds=1), 1) == NOON + timedelta(seconds=1)


async def test_times_are_later_than_the_one_advanced_to(times: TimestampAllocator) -> None:
    times.advance_to(NOON)
    times.advance_to(NEVER)

    assert await allocated(times, NEVER, 1) == NOON + TICK


class Transaction:
    """Has a time, and ends when it may."""

    def __init__(self, times: TimestampAllocator) -> None:
        self._times = times
        self.has_time = asyncio.Event()
        self.may_end = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._times.commit_in_order() as allocate:
            allocate(NOON, 1)
            self.has_time.set()
            await within(self.may_end.wait())


Begin = Callable[[], Awaitable[Transaction]]


@pytest.fixture
def times() -> TimestampAllocator:
    return TimestampAllocator()


@pytest_asyncio.fixture
async def begin(times: TimestampAllocator) -> AsyncGenerator[Begin]:
    """Begin transactions, each of which has its time then; they end with the test."""
    begun: list[Transaction] = []

    async def begin_one() -> Transaction:
        one = Transaction(times)
        begun.append(one)
        await within(one.has_time.wait())
        return one

    yield begin_one
    for _ in range(2):  # first their blocks, then the waits at their ends
        for one in begun:
            one.task.cancel()
        await turn_over()


async def turn_over() -> None:
    """Let all tasks go on until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_blocks_end_in_the_order_of_their_times(begin: Begin) -> None:
    ended: list[object] = []
    transactions = [await begin() for _ in range(3)]
    for one in transactions:
        one.task.add_done_callback(ended.append)

    for one in reversed(transactions):
        assert ended == []
        one.may_end.set()
        await turn_over()

    assert ended == [one.task for one in transactions]


async def test_a_block_without_a_time_holds_nobody_up(times: TimestampAllocator) -> None:
    async with times.commit_in_order():
        assert await allocated(times, NOON, 1) == NOON


@pytest.mark.parametrize("where", ["in its block", "at its end"])
async def test_a_cancelled_block_does_not_hold_up_the_next(
    begin: Begin, times: TimestampAllocator, where: str
) -> None:
    first, cancelled = await begin(), await begin()
    if where == "at its end":
        cancelled.may_end.set()
        await turn_over()
    cancelled.task.cancel()
    await turn_over()
    following = asyncio.create_task(allocated(times, NOON, 1))
    first.may_end.set()

    assert await within(following) > NOON
    assert cancelled.task.cancelled()


async def test_a_block_that_fails_does_not_hold_up_the_next(times: TimestampAllocator) -> None:
    async def fail() -> None:
        async with asyncio.timeout(DEADLINE), times.commit_in_order() as allocate:
            allocate(NOON, 1)
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        await fail()

    assert await allocated(times, NOON, 1) > NOON
