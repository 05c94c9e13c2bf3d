"""Cooccurrence: its sums, their support and paths are those of a plain count over histories."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recommendation_service.model.columns import Columns
from recommendation_service.model.cooccurrence import SUMS, Cooccurrence
from recommendation_service.model.counts import HALF_LIFE, LAG_UNITS
from recommendation_service.model.features import user_context
from recommendation_service.model.history import Contribution, contributions
from shared.ids import LessonId
from tests.unit.recommendation_service.model.examples import (
    NOW,
    Event,
    Histories,
    events,
    learned,
)

ORDERS = ((1, 2, 3, 4, 5, 6, 7, 8), (6, 7, 8, 9, 4), (7, 8, 10, 5), (8, 11, 4, 12))
WATCHED: list[Event] = [
    (user, lesson, NOW - 86_400.0 * user + 1_500.0 * place * user)
    for user, order in enumerate(ORDERS, 1)
    for place, lesson in enumerate(order)
]

Table = dict[tuple[int, int], float]


class Reference(NamedTuple):
    """Counts by pairs of lessons and by lesson."""

    recent: Table
    forward: Table
    in_session: Table
    new_session: Table
    interactions: dict[int, float]


def reference_of(contributed: Iterable[Contribution]) -> Reference:
    found = Reference(*(defaultdict(float) for _ in range(5)))
    for lesson, at, preceding, in_session in contributed:
        found.interactions[lesson] += 1
        for lag, other in enumerate(preceding, 1):
            found.recent[other, lesson] += 2 ** ((at - NOW) / HALF_LIFE) / lag
            found.forward[other, lesson] += 1 / lag
        for other in preceding[:1]:
            table = found.in_session if in_session else found.new_session
            table[other, lesson] += 1
    return found


def row_sum(table: Table, lesson: int) -> float:
    return sum(value for (one, _), value in table.items() if one == lesson)


def expected_sums(found: Reference, recent: Sequence[int], lesson: int) -> dict[str, float]:
    sums = dict.fromkeys(SUMS, 0.0)
    for rank, one in enumerate(recent, 1):
        forward, backward = found.forward[one, lesson], found.forward[lesson, one]
        damped = found.interactions[one] + 5
        if rank == 1:
            sums["in_session"] += found.in_session[one, lesson]
            sums["new_session"] += found.new_session[one, lesson]
        else:
            sums["far"] += forward / (row_sum(found.forward, one) + 1)
        if rank <= 5:
            sums["next"] += found.recent[one, lesson] / (row_sum(found.recent, one) + 1) / rank
            sums["previous"] += LAG_UNITS * backward / damped / rank
        sums["together"] += LAG_UNITS * (forward + backward) / damped / sqrt(rank)
    return sums


def expected_support(found: Reference, recent: Sequence[int]) -> dict[str, float]:
    near = list(enumerate(recent[:5], 1))
    return {
        "next": sum(row_sum(found.recent, one) / rank for rank, one in near),
        "previous": sum(found.interactions[one] / rank for rank, one in near),
        "in_session": row_sum(found.in_session, recent[0]),
        "new_session": row_sum(found.new_session, recent[0]),
        "far": sum(row_sum(found.forward, one) for one in recent[1:]) / 20,
        "together": sum(found.interactions[one] for one in recent) / 20,
    }


def expected_path(
    contributed: Sequence[Contribution], recent: Sequence[int], lessons: Sequence[int]
) -> list[float]:
    shares = [1 / len(lessons)] * len(lessons)
    for length, prior in ((1, 2.0), (2, 1.0), (3, 1.0)):
        path = tuple(recent[:length])
        after = [one.lesson_id for one in contributed if one.preceding[:length] == path]
        times = [after.count(LessonId(lesson)) for lesson in lessons]
        if len(path) == length and after:
            pairs = zip(times, shares, strict=True)
            shares = [(count + prior * share) / (len(after) + prior) for count, share in pairs]
    return shares


@given(events, st.integers(1, 4), st.integers(1, 4))
@example(WATCHED, 1, 4)
def test_it_equals_a_plain_count(stream: list[Event], one: int, other: int) -> None:
    model, histories = learned(stream)
    counts, users = model.counts, [one, other]
    recents = [user_context(counts, histories.get(user, []), NOW).recent for user in users]
    if not all(recents):
        return

    everything = np.arange(len(counts))
    found = Cooccurrence(counts, recents, NOW, Columns([everything, everything], len(counts)))
    sums, support = np.array(found.sums()), found.support()
    paths = found.path(np.full((2, len(counts)), 1 / len(counts)))

    contributed = list(contributions_of(histories))
    reference = reference_of(contributed)
    for row, indices in enumerate(recents):
        recent = [counts.lessons[index] for index in indices]
        for column, lesson in enumerate(counts.lessons):
            expected = expected_sums(reference, recent, lesson)
            assert dict(zip(SUMS, sums[:, row, column], strict=True)) == pytest.approx(
                expected, rel=1e-9, abs=1e-9
            )
        assert dict(zip(SUMS, support[row], strict=True)) == pytest.approx(
            expected_support(reference, recent), rel=1e-9, abs=1e-9
        )
        assert paths[row].tolist() == pytest.approx(
            expected_path(contributed, recent, counts.lessons), rel=1e-9
        )
        assert paths[row].sum() == pytest.approx(1.0)


def contributions_of(histories: Histories) -> Iterable[Contribution]:
    return (one for history in histories.values() for one in contributions(history))
