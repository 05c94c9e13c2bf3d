"""The conventions that no linter checks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.repository import ROOT

MOST_LINES: Final = 250
JUNK_DRAWERS: Final = {"utils", "helpers", "common", "misc", "base", "core", "manager"}
REGISTRY: Final = re.compile(
    r"\b(pypi|pythonhosted|npmjs|yarnpkg|crates|jsdelivr|unpkg|deb\.debian|archive\.ubuntu)"
    r"\.(org|com|io|net)\b"
)


def text(path: Path) -> str:
    return (ROOT / path).read_text(errors="replace")


def own_files() -> Iterator[Path]:
    """What the repository holds: everything here that `.gitignore` does not name."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    yield from _files(ROOT, {*ignored, ".git"})


def _files(folder: Path, ignored: set[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in ignored or any(path.match(pattern) for pattern in ignored if pattern):
            continue
        if path.is_dir():
            yield from _files(path, ignored)
        else:
            yield path.relative_to(ROOT)


FILES: Final = list(own_files())
MODULES: Final = [path for path in FILES if path.suffix == ".py"]
SCRIPTS: Final = [path for path in FILES if path.suffix == ".sh"]


def test_a_file_can_be_read_in_one_sitting() -> None:
    lengths = {path: len(text(path).splitlines()) for path in [*MODULES, *SCRIPTS]}

    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_a_name_says_what_belongs_there() -> None:
    assert [path for path in MODULES if JUNK_DRAWERS & {*path.with_suffix("").parts}] == []


def test_unit_tests_have_the_folders_of_the_packages() -> None:
    tests = [path.parent for path in MODULES if path.parts[:2] == ("tests", "unit")]
    mirrored = {path.relative_to("tests/unit") for path in tests} - {Path("project")}

    assert [path for path in mirrored if not (ROOT / path).is_dir()] == []


def test_a_module_says_what_it_is_for() -> None:
    parsed = {path: ast.parse(text(path)) for path in MODULES}

    silent = [
        path for path, module in parsed.items() if module.body and not ast.get_docstring(module)
    ]

    assert silent == []


def test_everything_installed_is_locked_with_hashes_and_for_any_mirror() -> None:
    locks = {path.name: text(path) for path in FILES if path.suffix == ".lock"}

    assert set(locks) == {
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-bench.lock",
        "requirements-clients.lock",
    }
    assert [name for name, lock in locks.items() if "--hash=sha256:" not in lock] == []
    assert [name for name, lock in locks.items() if "://" in lock] == []


def test_nothing_names_a_package_registry() -> None:
    assert [path for path in FILES if REGISTRY.search(text(path))] == []
