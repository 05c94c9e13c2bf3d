"""What reports do to a watch: its position follows the latest, what was seen only grows."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumption_service.record import decide
from consumption_service.record.commands import Report, Success
from consumption_service.segments import merge_segments
from shared.errors import Invalid
from tests.unit.consumption_service.record.test_decide import (
    NOON,
    OTHER_ID,
    STORED,
    WATCH_ID,
    a_group,
    at,
    successful,
    told,
    watch_after,
)


def test_a_newer_report_moves_the_watch() -> None:
    group = a_group()

    result = successful(group.decide(Report(WATCH_ID, 200, at(10)), OTHER_ID))

    moved = STORED._replace(position=200, reported_at=at(10), recorded_at=at(60))
    assert result == Success(moved, changed=True)
    assert (group.watches, group.created, group.touched) == ({WATCH_ID: moved}, [], {WATCH_ID})
    ((kind, body),) = told(group)
    assert (kind, body["position"], body["furthest"]) == ("updated", 200, 300)
    assert group.events[0].event_id != WATCH_ID


def test_a_report_without_a_time_is_of_now() -> None:
    watch = watch_after(a_group(), Report(WATCH_ID, 10))

    assert (watch.position, watch.reported_at) == (10, at(60))


@pytest.mark.parametrize(("position", "time"), [(299, 0), (300, 0), (300, -1), (0, -1)])
def test_a_report_that_adds_nothing_is_stale_and_no_event(position: int, time: int) -> None:
    group = a_group()

    assert group.decide(Report(WATCH_ID, position, at(time)), OTHER_ID) == Success(
        STORED, changed=False
    )
    assert (group.events, group.touched) == ([], set())


def test_of_two_reports_at_the_same_time_the_further_position_counts() -> None:
    assert watch_after(a_group(), Report(WATCH_ID, 301, at(0))).position == 301


def test_a_late_report_adds_to_what_was_seen_and_leaves_the_position() -> None:
    group = a_group(segments=[[0, 10]], unsegmented=0)

    result = successful(group.decide(Report(WATCH_ID, 400, at(-1), [[390, 400]]), OTHER_ID))

    assert not result.changed
    assert (result.watch.position, result.watch.reported_at) == (300, NOON)
    assert (result.watch.furthest, result.watch.segments) == (400, [[0, 10], [390, 400]])
    assert len(group.events) == 1


def test_more_segments_at_the_same_moment_count_but_move_nothing() -> None:
    report = Report(WATCH_ID, 300, at(0), [[290, 300]])

    result = successful(a_group(segments=[]).decide(report, OTHER_ID))

    assert (result.changed, result.watch.segments) == (False, [[290, 300]])


def test_the_first_segments_keep_how_far_the_watch_came_without_any() -> None:
    group = a_group()

    assert watch_after(group, Report(WATCH_ID, 350, at(1), [[340, 350]])).unsegmented == 300
    assert watch_after(group, Report(WATCH_ID, 320, at(2))).unsegmented == 320


reports = st.builds(
    Report,
    st.just(WATCH_ID),
    st.integers(0, 20),
    st.integers(-3, 3).map(at),
    st.none() | st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(list), max_size=2),
)


@given(st.lists(reports, max_size=6))
def test_reports_only_add_to_what_was_seen(some: Sequence[Report]) -> None:
    group = a_group(position=5, furthest=5)
    furthest, covered = 5, set[int]()
    for report in some:
        watch = watch_after(group, report)
        seconds = {second for start, end in watch.segments or [] for second in range(start, end)}
        assert watch.furthest == max(furthest, report.position)
        assert seconds >= covered
        assert merge_segments(watch.segments or []) == (watch.segments or [])
        furthest, covered = watch.furthest, seconds


@given(
    st.lists(reports, max_size=6).flatmap(
        lambda some: st.tuples(st.just(some), st.permutations(some))
    ),
    st.booleans(),
)
def test_reports_lead_to_the_same_watch_in_any_order(
    orders: tuple[Sequence[Report], Sequence[Report]],
    has_segments: bool,  # noqa: FBT001
) -> None:
    begun: dict[str, Any] = {"position": 5, "furthest": 5, "segments": [] if has_segments else None}
    one, other = (watch_after(a_group(**begun), *order) for order in orders)

    assert one._replace(recorded_at=NOON) == other._replace(recorded_at=NOON)


def test_a_watch_with_too_many_segments_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "MAX_SEGMENTS", 2)
    group = a_group(segments=[[0, 1], [2, 3]])

    assert isinstance(group.decide(Report(WATCH_ID, 5, at(1), [[4, 5]]), OTHER_ID), Invalid)

    assert (group.touched, group.events) == (set(), [])
    assert watch_after(group, Report(WATCH_ID, 5, at(1), [[1, 2]])).segments == [[0, 3]]
