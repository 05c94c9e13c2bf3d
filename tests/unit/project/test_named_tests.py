"""Pages that say which test shows a statement: each line names one, and it is there."""

import ast
import re
from typing import Final

import pytest

from tests.support.repository import ROOT

PAGES: Final = {"docs/security.md": "| threat |", "docs/reliability.md": "| statement |"}


def lines_of(page: str, head: str) -> list[list[str]]:
    """Return the cells of all lines of the tables with this head."""
    _, *tables = (ROOT / page).read_text().split(head)
    lines = [line for table in tables for line in table.partition("\n\n")[0].splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


LINES: Final = [cells for page, head in PAGES.items() for cells in lines_of(page, head)]


@pytest.mark.parametrize(("page", "head"), PAGES.items())
def test_the_page_has_its_table(page: str, head: str) -> None:
    assert len(lines_of(page, head)) > 20


@pytest.mark.parametrize("cells", LINES, ids=[cells[0] for cells in LINES])
def test_the_test_that_a_line_names_is_there(cells: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", cells[-1])

    assert named, "no test is named"
    for path, test in named:
        module = ast.parse((ROOT / path).read_text())
        tests = {
            node.name
            for node in module.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
        }
        assert tests if not test else test in tests
