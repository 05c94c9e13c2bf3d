"""No test waits without a deadline for what somebody else has to bring about.

Found are awaits of events, queues, subscriptions and tasks that are not given to `within` and have
no `asyncio.timeout` around them, and commands that may run for ever. What serves a test in the
background waits as long as the test lasts.
"""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.repository import ROOT

# Steps of the machines have a deadline in `Machine.run`. The infrastructure may install packages.
EXEMPT: Final = ("tests/stateful", "tests/infrastructure", "tests/support/eventually.py")
IN_THE_BACKGROUND: Final = {"_pass", "_watch_for_ever", "doomed", "learn", "let_through"}


def waits_without_deadline(source: str) -> Iterator[str]:
    """Yield what the source awaits for ever, if nobody brings it about."""
    stack: list[list[ast.AST]] = [[ast.parse(source)]]
    while stack:
        path = stack.pop()
        if is_background(path[-1]):
            continue
        if is_unlimited(path[-1]) and not has_deadline(path):
            yield ast.unparse(path[-1])
        stack += [[*path, child] for child in ast.iter_child_nodes(path[-1])]


def is_background(node: ast.AST) -> bool:
    return isinstance(node, ast.AsyncFunctionDef) and node.name in IN_THE_BACKGROUND


def is_unlimited(node: ast.AST) -> bool:
    if isinstance(node, ast.Await):
        return isinstance(node.value, ast.Name) or waits_for_others(ast.unparse(node.value))
    is_command = isinstance(node, ast.Call) and ast.unparse(node.func) == "subprocess.run"
    return is_command and "timeout" not in ast.unparse(node)


def waits_for_others(awaited: str) -> bool:
    patterns = (
        r"asyncio\.wait\((?!.*timeout=).*",
        r"asyncio\.gather\((\*?\w+(, )?)*\)",  # of tasks
        r"[\w.]+\.(get|wait)\(\)",
        r"[\w.]+\.receive\(.*",
    )
    return any(re.fullmatch(pattern, awaited) for pattern in patterns)


def has_deadline(path: list[ast.AST]) -> bool:
    """Tell whether a block of the same function ends the wait."""
    functions = [place for place, node in enumerate(path) if isinstance(node, ast.AsyncFunctionDef)]
    return any(
        isinstance(node, ast.AsyncWith) and "asyncio.timeout(" in ast.unparse(node.items[-1])
        for node in path[functions[-1] if functions else 0 :]
    )


def test_nothing_is_awaited_for_ever() -> None:
    paths = [path.relative_to(ROOT) for path in sorted((ROOT / "tests").rglob("*.py"))]
    looked_at = [path for path in paths if not str(path).startswith(EXEMPT)]
    found = {path: [*waits_without_deadline((ROOT / path).read_text())] for path in looked_at}

    assert {path: waits for path, waits in found.items() if waits} == {}


@pytest.mark.parametrize(
    "wait",
    [
        "await posting",
        "await asyncio.wait([posting])",
        "await asyncio.gather(*posting)",
        "await queue.get()",
        "await self.is_done.wait()",
        "await subscription.receive(1)",
        "subprocess.run(['true'])",
    ],
)
def test_a_wait_without_a_deadline_is_found(wait: str) -> None:
    block = "async def test() -> None:\n    {}\n"

    assert [*waits_without_deadline(block.format(wait))] == [wait]
    limited = wait.replace("await ", "await within(") + ")"
    if wait.startswith("await"):
        assert [*waits_without_deadline(block.format(limited))] == []
        timed = f"async with asyncio.timeout(1): {wait}"
        assert [*waits_without_deadline(block.format(timed))] == []
