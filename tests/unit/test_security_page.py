"""The threat model: each line names a test, and the test is there."""

import ast
import re
from typing import Final

import pytest

from tests.unit.test_conventions import ROOT

PAGE: Final = (ROOT / "docs/security.md").read_text()
THREATS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("| threat |")[2].splitlines()[2:]
    if line.startswith("| ")
]


def test_the_page_has_threats() -> None:
    assert len(THREATS) > 20
    assert {len(cells) for cells in THREATS} == {3}


@pytest.mark.parametrize("cells", THREATS, ids=[cells[0] for cells in THREATS])
def test_the_test_that_a_threat_names_is_there(cells: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", cells[2])

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
