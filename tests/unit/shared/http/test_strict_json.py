"""Strict JSON: what two parsers may read in different ways is refused, with the reason."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.strict_json import MAX_NAMES, parse

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_what_python_writes_as_json_is_read_back(value: Any) -> None:
    if "Infinity" not in (text := json.dumps(value)):
        assert parse(text.encode()) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": 1, "a": 1}', "an object has a name twice"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "an object has a name twice"),
        (b"NaN", "NaN is no number"),
        (b'{"a": [Infinity]}', "Infinity is no number"),
        (b"-Infinity", "-Infinity is no number"),
        (b"\xef\xbb\xbf{}", "Expecting value"),
        ('{"a": 1}'.encode("utf-16"), "it is not UTF-8"),
        (b'"\xff"', "it is not UTF-8"),
        (b'"\xed\xa0\x80"', "it is not UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"1" * (sys.get_int_max_str_digits() + 1), "a number is too long"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(json.JSONDecodeError) as refusal:
        parse(body)

    assert refusal.value.msg.startswith(reason)


def test_an_object_has_a_limited_number_of_names() -> None:
    names = {str(number): number for number in range(MAX_NAMES)}

    assert parse(json.dumps(names).encode()) == names
    with pytest.raises(json.JSONDecodeError, match="too many names"):
        parse(json.dumps(names | {"more": 1}).encode())
