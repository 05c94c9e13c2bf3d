"""What a statement reports of a watch."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumption_service.record.xapi_statements import (
    COMPLETED,
    EXAMPLE,
    MAX_SEGMENTS,
    MAX_SESSION_LENGTH,
    PAUSED,
    PLAYED,
    SEEKED,
    TERMINATED,
    VIDEO,
    ParsedStatement,
    Statement,
    parse_statement,
)
from shared.errors import Invalid
from shared.ids import MAX_INTEGER, LessonId, UserId

SESSION = "ec531277-b57b-4c15-8d91-d292c5b2b8f7"


def a_statement(verb: str = PAUSED, **said: Any) -> Statement:
    """A statement; `said` are extensions of its result, with `_` for `-`."""
    extensions = {f"{VIDEO}/extensions/{name.replace('_', '-')}": it for name, it in said.items()}
    changes = {"verb": {"id": verb}, "result": {"extensions": extensions}}
    return Statement.model_validate({**EXAMPLE, **changes})


def test_the_example_is_parsed() -> None:
    assert parse_statement(Statement.model_validate(EXAMPLE)) == ParsedStatement(
        UserId(42),
        LessonId(100),
        SESSION,
        314,
        600,
        [[0, 120], [300, 314]],
        datetime(2026, 11, 23, 10, 5, 14, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("verb", "said", "position"),
    [
        (PAUSED, {"time": 120.9}, 120),
        (SEEKED, {"time": 5, "time_to": 500}, 500),
        (PAUSED, {"progress": 0.5}, 300),
        (PAUSED, {"progress": 2}, 600),
        (COMPLETED, {}, 600),
        (COMPLETED, {"time": 590}, 590),
    ],
)
def test_the_position_is_the_time_or_the_progress_of_the_length(
    verb: str, said: dict[str, Any], position: int
) -> None:
    assert parse_statement(a_statement(verb, **said)).position == position


@pytest.mark.parametrize(
    ("verb", "segments"),
    [(PLAYED, []), (SEEKED, []), (PAUSED, None), (TERMINATED, None), (COMPLETED, None)],
)
def test_a_player_that_begins_without_segments_reports_none_so_far(
    verb: str, segments: list[Any] | None
) -> None:
    assert parse_statement(a_statement(verb, time=1, time_to=1)).segments == segments


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=5))
def test_segments_are_read_as_they_are_written(some: list[tuple[int, int]]) -> None:
    text = "[,]".join(f"{start}[.]{end}" for start, end in some)

    parsed = parse_statement(a_statement(time=1, played_segments=text)).segments

    covered = {second for start, end in some for second in range(start, end)}
    assert {second for start, end in parsed or [] for second in range(start, end)} == covered
    assert parsed is not None


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"time": -1},
        {"time": True},
        {"time": "1"},
        {"time": 1, "length": "long"},
        {"time": 1, "played_segments": "0[.]"},
        {"time": 1, "played_segments": "[,]".join(["0[.]1"] * (MAX_SEGMENTS + 1))},
        {"time": 1, "session_id": "a" * (MAX_SESSION_LENGTH + 1)},
        {"time": 1, "session_id": "a\n"},
        {"time": 1, "session_id": 1},
    ],
)
def test_a_statement_that_says_nonsense_is_invalid(said: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        parse_statement(a_statement(**said))


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": {}},
        {"actor": {"account": {"name": "ada"}}},
        {"actor": {"account": {"name": str(MAX_INTEGER + 1)}}},
        {"object": {"id": "https://example.com/lessons/"}},
        {"object": {"id": f"https://example.com/lessons/{MAX_INTEGER + 1}"}},
    ],
)
def test_a_user_or_a_lesson_without_a_number_is_invalid(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        parse_statement(Statement.model_validate({**EXAMPLE, **changes}))


def test_a_session_id_counts_more_than_a_registration() -> None:
    named = a_statement(time=1, session_id="tab 2")
    alone = Statement.model_validate({**EXAMPLE, "context": None})

    sessions = [parse_statement(one).session_key for one in (a_statement(time=1), named, alone)]

    assert sessions == [(42, 100, SESSION), (42, 100, "tab 2"), (42, 100, "")]


def test_the_digest_is_of_the_content_whatever_a_store_adds() -> None:
    original = Statement.model_validate(EXAMPLE)
    stored = {
        "stored": "2026-11-23T10:05:15Z",
        "authority": {"name": "a store"},
        "version": "1.0.3",
    }
    reordered = Statement.model_validate(dict(reversed([*EXAMPLE.items(), *stored.items()])))

    assert reordered.digest() == original.digest()
    assert a_statement(time=314).digest() != original.digest()


def test_only_verbs_about_watching_are_recorded() -> None:
    assert a_statement(PLAYED).is_about_watching
    assert not a_statement("http://adlnet.gov/expapi/verbs/experienced").is_about_watching
