"""Futures: each is settled once, and those of callers who were cancelled are skipped."""

import asyncio

import pytest

from shared.process.futures import set_exceptions, set_results


def futures(count: int) -> list[asyncio.Future[int]]:
    return [asyncio.get_running_loop().create_future() for _ in range(count)]


async def test_each_future_gets_its_own_result() -> None:
    pending = futures(3)

    set_results(pending, [1, 2, 3])

    assert [one.result() for one in pending] == [1, 2, 3]


async def test_a_future_that_is_done_stays_as_it_is() -> None:
    cancelled, answered, failed, pending = futures(4)
    cancelled.cancel()
    answered.set_result(7)
    failed.set_exception(ValueError("before"))

    set_results([cancelled, answered, failed, pending], [1, 2, 3, 4])
    set_exceptions([cancelled, answered, failed, pending], RuntimeError("after"))

    assert cancelled.cancelled()
    assert (answered.result(), pending.result()) == (7, 4)
    assert str(failed.exception()) == "before"


async def test_all_futures_fail_with_the_same_error() -> None:
    pending, error = futures(2), RuntimeError("away")

    set_exceptions(pending, error)

    assert [one.exception() for one in pending] == [error, error]


@pytest.mark.parametrize("results", [[1], [1, 2, 3]])
async def test_as_many_results_as_futures_are_needed(results: list[int]) -> None:
    with pytest.raises(ValueError, match="argument"):
        set_results(futures(2), results)
