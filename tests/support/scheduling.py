"""Scheduling of pytest-xdist: the scopes, each of which one worker runs, and their order.

A file is a scope: its tests share what takes long to start. The faults, which have servers of their
own, are two scopes. The longest scopes come first, so that no worker ends long after the others.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Final

from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling

HALVED: Final = {"faults"}  # folders of two scopes
SECOND_HALF: Final = "test_s"  # the name with which it begins
SPLIT: Final = {"stateful"}  # folders in which each test is a scope
LONGEST_FIRST: Final = (  # folders and files, the longest first
    "faults",
    "stateful",
    "test_bench_quality",
    "test_clients",
    "test_import",
    "test_openapi",
    "test_rebuild_command",
    "test_dashboard",
    "test_bench",
    "test_import_interrupted",
    "test_import_statements",
    "test_forgetting_users",
    "test_heavy_users",
    "test_learn",
)


def scope_of(nodeid: str) -> str:
    """Return the scope of a test."""
    file = PurePath(nodeid.partition("::")[0])
    folder = file.parent.name
    if folder in SPLIT:
        return nodeid
    if folder in HALVED:
        return f"{folder}, second half" if file.stem >= SECOND_HALF else folder
    return str(file)


def order_of(nodeid: str) -> int:
    """Return the place of a test's scope; most share the last one."""
    file = PurePath(nodeid.partition("::")[0])
    names = {file.parent.name, file.stem}
    places = (place for place, name in enumerate(LONGEST_FIRST) if name in names)
    return min(places, default=len(LONGEST_FIRST))


def max_scopes(arguments: Iterable[str]) -> int:
    """Return how many scopes these arguments of pytest can hold, without collecting them."""
    files = {file for one in arguments for file in _files(Path(one.partition("::")[0]))}
    return sum(sys.maxsize if file.parent.name in SPLIT else 1 for file in files) or 1


def _files(path: Path) -> Iterator[Path]:
    yield from path.rglob("test_*.py") if path.is_dir() else [path]


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Distributes these scopes."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
