"""Columns: all lessons or the candidates alone, with the same values for the candidates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model import columns
from recommendation_service.model.arrays import Indices
from recommendation_service.model.columns import Columns
from recommendation_service.model.cooccurrence import Cooccurrence
from recommendation_service.model.features import features, user_context
from recommendation_service.model.popularity import PopularityCache
from tests.unit.recommendation_service.model.examples import NOW, Event, events, learned

PART, WHOLE = 2.0, 0.0  # share of candidates from which all lessons get a column


def indices(*values: int) -> Indices:
    return np.array(values, np.int64)


def columns_of(share: float, candidates: Indices, lessons: int) -> Columns:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "MIN_WHOLE", share)
        return Columns([candidates], lessons)


def test_where_half_of_the_lessons_are_candidates_each_lesson_has_its_column() -> None:
    whole = Columns([indices(0, 3), indices(1, 2, 3)], 4)

    assert (whole.is_whole, whole.size) == (True, 4)
    assert whole.of(indices(3, 1)).tolist() == [3, 1]
    assert whole.take(np.array([5.0, 6.0, 7.0, 8.0])).tolist() == [5.0, 6.0, 7.0, 8.0]
    assert whole.excluded.tolist() == [1, 2, 4]
    terms = np.array([1.0, 2.0, 4.0, 8.0])
    assert whole.sums(indices(0, 1, 4 + 3, 4 + 3), terms).tolist() == [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 12.0],
    ]


def test_where_fewer_are_candidates_only_these_have_columns() -> None:
    part = Columns([indices(1, 4)], 5)

    assert (part.is_whole, part.size) == (False, 2)
    assert part.take(np.array([[5.0, 6.0, 7.0, 8.0, 9.0]])).tolist() == [[6.0, 9.0]]
    assert part.excluded.tolist() == []
    of = part.of(indices(4, 1, 0, 4))
    assert of[[0, 1, 3]].tolist() == [1, 0, 1]
    assert part.sums(of, np.array([1.0, 2.0, 4.0, 8.0])).tolist() == [[2.0, 9.0]]


@given(events, st.integers(1, 4), st.sets(st.integers(0, 11), min_size=1))
def test_both_have_the_same_sums_for_candidates(
    stream: list[Event], user: int, chosen: set[int]
) -> None:
    model, histories = learned(stream)
    context = user_context(model.counts, histories.get(user, []), NOW)
    size = len(model.counts)
    candidates = indices(*sorted(index for index in chosen if index < size))
    if not len(candidates) or not context.recent:
        return

    sums = []
    for share in (PART, WHOLE):
        some = columns_of(share, candidates, size)
        found = Cooccurrence(model.counts, [context.recent], NOW, some).sums()
        sums.append(np.array(found)[:, 0, some.of(candidates)].tolist())

    assert sums[0] == sums[1]


@given(events, st.integers(1, 5))
def test_both_have_the_same_features_where_all_lessons_are_candidates(
    stream: list[Event], user: int
) -> None:
    model, histories = learned(stream)
    counts = model.counts
    context = user_context(counts, histories.get(user, []), NOW)
    if not len(counts):
        return

    part, whole = (
        features(
            PopularityCache(counts),
            [context],
            columns_of(share, np.arange(len(counts)), len(counts)),
        )
        for share in (PART, WHOLE)
    )

    assert part.tolist() == whole.tolist()
