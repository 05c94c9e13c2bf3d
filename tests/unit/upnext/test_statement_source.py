"""Statements are decoded from a stream, wherever a chunk of it ends."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CannotStart
from upnext.import_watches import statement_source
from upnext.import_watches.statement_source import holds_statements, read_statements

text = st.text(st.sampled_from('ab"\\[]{},: \n\u00e9\u4e2d\U0001f600'), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda some: st.lists(some, max_size=2) | st.dictionaries(text, some, max_size=2),
    max_leaves=4,
)
statements = st.dictionaries(st.sampled_from(["id", "actor", "a b"]), values, max_size=3)
scalars = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text | st.booleans()

FORMS: Final[dict[str, Callable[[Sequence[Any]], str]]] = {
    "array": lambda some: json.dumps(some, ensure_ascii=False),
    "indented": lambda some: json.dumps(some, indent=2),
    "lines": lambda some: "\r\n".join(map(json.dumps, some)),
    "store": lambda some: json.dumps({"statements": some, "more": ""}),
}


def read(content: bytes, chunk: int) -> list[Any]:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "statements"
        path.write_bytes(content)
        patch.setattr(statement_source, "CHUNK", chunk)
        return list(read_statements(path))


@pytest.mark.parametrize("form", FORMS)
@given(
    some=st.lists(statements | scalars, max_size=3),
    chunk=st.integers(1, 40),
)
def test_no_chunk_boundary_changes_a_statement(form: str, some: list[Any], chunk: int) -> None:
    assert read(FORMS[form](some).encode(), chunk) == some


def test_every_boundary_of_a_file() -> None:
    some = [{"id": "\u00e9]", "a b": [-1.5e-7, True]}, 12.5, -3e10, "},{", None]
    for form in FORMS.values():
        content = form(some).encode()
        for chunk in range(1, len(content) + 1):
            assert read(gzip.compress(content) if chunk % 2 else content, chunk) == some


@given(some=st.lists(statements, min_size=1, max_size=3), data=st.data())
def test_a_truncated_array_is_refused_after_its_whole_statements(
    some: list[Any], data: st.DataObject
) -> None:
    last = len(json.dumps(some[-1]))
    content = json.dumps(some)[: -1 - data.draw(st.integers(1, last - 1))]

    with pytest.raises(CannotStart, match=f"what follows value {len(some) - 1} is not JSON"):
        read(content.encode(), data.draw(st.integers(1, 40)))


@pytest.mark.parametrize(
    ("content", "is_json"),
    [(b' \n[{"id": 1}]', True), (b"\xef\xbb\xbf{}", True), (b"user,lesson\n", False), (b"", False)],
)
def test_json_is_told_from_a_table(
    tmp_path: Path,
    content: bytes,
    is_json: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    plain, zipped = tmp_path / "plain", tmp_path / "zipped"
    plain.write_bytes(content)
    zipped.write_bytes(gzip.compress(content))

    assert holds_statements(plain) is holds_statements(zipped) is is_json


def test_a_damaged_archive_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "statements"
    path.write_bytes(gzip.compress(b"[{}]" * 1000)[:-12])

    with pytest.raises(CannotStart, match=r"Cannot read .*statements: .*\."):
        list(read_statements(path))
