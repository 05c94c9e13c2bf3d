"""What the documents name is there: linked pages and headings, files, folders, tests, tables."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

import consumption_service.tables
import recommendation_service.tables
from tests.support.repository import ROOT

PAGES: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]
FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
CODE: Final = re.compile(r"`([^`\n]+)`")
FILE: Final = re.compile(
    r"[\w./*-]+\.(?:py|md|sh|toml|ya?ml|conf|cfg|lock|js|html)|[\w.*-]+(?:/[\w.*-]+)*/"
)
TEST: Final = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
MADE: Final = {"var/", "dist/", ".venv/"}  # what is not kept here

by_name: Final = pytest.mark.parametrize(
    "page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES]
)


def prose(page: Path) -> str:
    """Return the page without its blocks of code and figures."""
    return FENCE.sub("", page.read_text())


@cache
def kept() -> frozenset[str]:
    """Return all files and folders of the repository, folders with a slash at the end."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    return frozenset(_below(ROOT, {*ignored, ".git"}))


def _below(folder: Path, ignored: set[str]) -> Iterator[str]:
    for path in folder.iterdir():
        if path.name in ignored:
            continue
        name = path.relative_to(ROOT).as_posix()
        if path.is_dir():
            yield f"/{name}/"
            yield from _below(path, ignored)
        else:
            yield f"/{name}"


def is_kept(name: str) -> bool:
    """Whether a file or folder is there: by its whole path or the end of it; `*` is any name."""
    pattern = re.compile(".*/" + re.escape(name).replace(r"\*", "[^/]*"))
    return any(pattern.fullmatch(path) for path in kept())


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return frozenset(heading.replace(" ", "-") for heading in plain)


@by_name
def test_a_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]

    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@by_name
def test_a_file_that_is_named_is_there(page: Path) -> None:
    names = {code.partition("::")[0] for code in CODE.findall(prose(page))}
    files = {name for name in names if FILE.fullmatch(name)} - MADE

    assert [name for name in sorted(files) if not is_kept(name)] == []


@by_name
def test_a_test_that_is_named_is_there(page: Path) -> None:
    for path, test in TEST.findall(page.read_text()):
        module = ast.parse((ROOT / path).read_text())
        functions = [node for node in ast.walk(module) if isinstance(node, FUNCTION)]
        assert test in {function.name for function in functions}, test


@by_name
def test_a_target_of_make_that_is_named_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z][a-z-]*)", page.read_text())

    assert set(named) <= targets


def test_every_page_is_in_an_index() -> None:
    indexes = [ROOT / "docs/README.md", ROOT / "docs/decisions/README.md"]
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for index in indexes
        for link in LINK.findall(index.read_text())
    }

    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    assert [page for page in pages if page not in linked and page not in indexes] == []


DECISIONS: Final = sorted((ROOT / "docs/decisions").glob("0*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=[page.stem for page in DECISIONS])
def test_the_index_of_decisions_says_what_a_decision_says(page: Path) -> None:
    text = page.read_text()
    title = re.match(r"# (\d+)\. (.+)\n", text)
    status = re.search(r"\n\*\*Status\.\*\* (Accepted|Superseded), ([\d-]{10})\.", text)

    assert title
    assert status
    assert int(title[1]) == int(page.name[:4])
    state, date = status[1].lower(), status[2]
    line = f"| [{page.name[:4]}]({page.name}) | {title[2]} | {state} | {date} |"
    assert line in (page.parent / "README.md").read_text().splitlines()


@pytest.mark.parametrize("page", DECISIONS, ids=[page.stem for page in DECISIONS])
def test_a_decision_has_the_form_of_all(page: Path) -> None:
    text = page.read_text()
    parts = [f"**{name}.**" for name in ("Context", "Decision", "Consequences", "Alternatives")]
    places = [text.index(part) for part in parts]

    assert all(before < after for before, after in pairwise(places))


def test_the_figure_of_the_tables_shows_every_table() -> None:
    figure = (ROOT / "ARCHITECTURE.md").read_text().partition("erDiagram")[2].partition("```")[0]
    services = [consumption_service.tables.metadata, recommendation_service.tables.metadata]
    tables = {name for metadata in services for name in metadata.tables}

    entities = re.findall(r"^    (\w+) \{(.*?)\}", figure, re.MULTILINE | re.DOTALL)
    shown: dict[str, str] = dict(entities)
    assert set(shown) - {"erasures_so_far"} == tables
    for metadata in services:
        for table in metadata.tables.values():
            assert set(re.findall(r"\w+ (\w+)", shown[table.name].replace(" PK", ""))) <= {
                *table.columns.keys()
            }
