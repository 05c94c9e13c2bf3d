"""Topic keys, against an oracle that simply tries every way to read a pattern."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.broker.topic import topic_matches

routing_words = st.lists(st.sampled_from(["", "a", "b", "*", "#"]), max_size=6)
binding_words = st.lists(st.sampled_from(["", "a", "b", "*", "#"]), max_size=6)


@given(binding_words, routing_words)
@example([], [])
@example([""], [""])
@example(["#", "a", "#"], ["b", "a", "a"])
def test_a_binding_key_takes_what_some_reading_of_it_takes(
    pattern: list[str], words: list[str]
) -> None:
    taken = topic_matches(".".join(pattern), ".".join(words))

    assert taken == can_be_read_as(as_sent(pattern), as_sent(words))


@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
def test_a_star_takes_any_one_word(kind: str) -> None:
    assert topic_matches("*", kind)


@pytest.mark.parametrize("routing_key", ["", "a.b", "created.", "."])
def test_a_star_takes_neither_more_nor_fewer_words_than_one(routing_key: str) -> None:
    assert not topic_matches("*", routing_key)


@pytest.mark.parametrize("routing_key", ["", "created", "a.b", "..."])
def test_a_hash_takes_everything(routing_key: str) -> None:
    assert topic_matches("#", routing_key)


def as_sent(words: Sequence[str]) -> Sequence[str]:
    """A single empty word is written like no word, and is read as none."""
    return [] if words == [""] else words


def can_be_read_as(pattern: Sequence[str], words: Sequence[str]) -> bool:
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(can_be_read_as(rest, words[taken:]) for taken in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and can_be_read_as(rest, words[1:])
