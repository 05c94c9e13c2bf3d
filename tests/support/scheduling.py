"""What one worker of pytest-xdist runs, one test after the other, and what is begun with.

The tests of a file share what takes long to start; so do the faults, which have servers of their
own: one half of them and the other. What takes longest comes first, so that in the end no worker is
alone with it.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Final

from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling

TOGETHER: Final = {"faults"}  # folders of which one worker runs a half
SECOND_HALF: Final = "test_s"  # where it begins
APART: Final = {"stateful"}  # folders whose tests have nothing in common
LONGEST: Final = (  # folders and files, the longest first
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
    """Name what is not divided among workers, for one of its tests."""
    file = PurePath(nodeid.partition("::")[0])
    folder = file.parent.name
    if folder in APART:
        return nodeid
    if folder in TOGETHER:
        return f"{folder}, second half" if file.stem >= SECOND_HALF else folder
    return str(file)


def order_of(nodeid: str) -> int:
    """Return the place in the order of all tests; most have the last one."""
    file = PurePath(nodeid.partition("::")[0])
    names = {file.parent.name, file.stem}
    return next((turn for turn, name in enumerate(LONGEST) if name in names), len(LONGEST))


def max_scopes(arguments: Iterable[str]) -> int:
    """Return how many scopes these arguments of pytest can hold, without collecting them."""
    files = {file for one in arguments for file in _files(Path(one.partition("::")[0]))}
    return sum(sys.maxsize if file.parent.name in APART else 1 for file in files) or 1


def _files(path: Path) -> Iterator[Path]:
    yield from path.rglob("test_*.py") if path.is_dir() else [path]


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """The order of work of pytest-xdist, which knows no folders."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
