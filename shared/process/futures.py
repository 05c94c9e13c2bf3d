"""Settle futures; skip those that are done already, because their callers were cancelled."""

import asyncio
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def set_results(futures: Iterable[asyncio.Future[T]], results: Iterable[T]) -> None:
    """Give each future its result, in order."""
    for future, result in zip(futures, results, strict=True):
        if not future.done():
            future.set_result(result)


def set_exceptions(futures: Iterable[asyncio.Future[T]], error: Exception) -> None:
    """Let all futures fail with the same error."""
    for future in futures:
        if not future.done():
            future.set_exception(error)
