"""Migrations only add, and nothing that the version before would have to know of.

So the version before goes on with the tables of the version after: both serve side by side.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.repository import ROOT

MIGRATIONS: Final = sorted(ROOT.glob("*/migrations/versions/*.py"))
ADDING: Final = {
    "add_column",
    "bulk_insert",
    "create_index",
    "create_table",
    "execute",
    "get_bind",
}


def operations(migration: str) -> Iterator[ast.Call]:
    """What the upgrade does: the calls of `op`."""
    (upgrade,) = (
        node
        for node in ast.parse(migration).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    )
    for node in ast.walk(upgrade):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("op."):
            yield node


def contradictions(migration: str) -> list[str]:
    """What the version before could not go on with."""
    return [ast.unparse(call) for call in operations(migration) if not _only_adds(call)]


def _only_adds(call: ast.Call) -> bool:
    name, text = ast.unparse(call.func).removeprefix("op."), ast.unparse(call)
    if name == "add_column":  # rows that the version before writes have to do without it
        return "nullable=False" not in text or "server_default" in text
    if name == "execute":  # of data, and not of tables
        return not any(word in text.upper() for word in ("ALTER ", "DROP ", "RENAME "))
    return name in ADDING and "unique=True" not in text.partition("create_index")[2]


@pytest.mark.parametrize("path", MIGRATIONS, ids=[f"{p.parts[-4]} {p.stem}" for p in MIGRATIONS])
def test_the_version_before_can_go_on_with_what_a_migration_leaves(path: Path) -> None:
    assert contradictions(path.read_text()) == []


@pytest.mark.parametrize(
    "step",
    [
        "op.drop_column('watches', 'position')",
        "op.drop_table('watches')",
        "op.alter_column('watches', 'position', new_column_name='at')",
        "op.add_column('watches', sa.Column('device', sa.Text, nullable=False))",
        "op.execute('ALTER TABLE watches RENAME TO views')",
        "op.create_index('ix', 'watches', ['user_id'], unique=True)",
    ],
)
def test_a_step_that_takes_something_away_is_found(step: str) -> None:
    assert len(contradictions(f"def upgrade() -> None:\n    {step}\n")) == 1
