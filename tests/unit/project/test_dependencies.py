"""Declared dependencies: everything that is imported, and nothing else."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from typing import Any, Final

import pytest

from tests.support.repository import ROOT

PACKAGES: Final = ("shared", "consumption_service", "recommendation_service", "upnext")
OWN: Final = {*PACKAGES, "tests", "benchmarks", "consumption_client", "recommendation_client"}

# Imported where it is installed. `uvicorn[standard]` installs it where there is a build.
OPTIONAL: Final = {"uvloop"}
NOT_IMPORTED: Final = {
    "aiosqlite": "SQLAlchemy loads it by the name in the URL",
    "editables": "of hatchling",
    "hatchling": "builds the package",
    "import-linter": "a command of `make lint`",
    "mypy": "a command of `make lint`",
    "pytest-randomly": "a plugin of pytest",
    "pytest-timeout": "a plugin of pytest",
    "ruff": "a command of `make lint`",
    "schemathesis": "a command that tests run",
    "uv": "a command of `make setup` and `make lock`",
}
INSTALLED: Final = packages_distributions()
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME: Final = PROJECT["project"]["dependencies"]
EXTRAS: Final = PROJECT["project"]["optional-dependencies"]["tracing"]
DEV: Final = PROJECT["dependency-groups"]["dev"]


@pytest.mark.parametrize(
    ("folders", "declared"),
    [(PACKAGES, [*RUNTIME, *EXTRAS]), (("tests",), [*RUNTIME, *DEV])],
    ids=["packages", "tests"],
)
def test_what_is_imported_is_declared(folders: Iterable[str], declared: Iterable[str]) -> None:
    names = set(distributions(declared))

    undeclared = {
        module for module in imported(folders) - OPTIONAL if names.isdisjoint(providers(module))
    }

    assert undeclared == set()


def test_what_is_declared_is_imported_or_has_a_reason() -> None:
    used = {name for module in imported([*PACKAGES, "tests"]) for name in providers(module)}

    assert set(distributions([*RUNTIME, *EXTRAS, *DEV])) - used == NOT_IMPORTED.keys()


def imported(folders: Iterable[str]) -> set[str]:
    """Return the modules of others that files in these folders import, by their first names."""
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    names = {name.split(".")[0] for path in paths for name in imports(path.read_text())}
    return names - OWN - sys.stdlib_module_names


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def providers(module: str) -> set[str]:
    """Return the installed distributions that the module can come from."""
    return set(distributions(INSTALLED.get(module, [])))


def distributions(requirements: Iterable[str]) -> Iterator[str]:
    """Return the normalized names, without extras and versions."""
    for requirement in requirements:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        yield re.sub(r"[-_.]+", "-", name).lower()
