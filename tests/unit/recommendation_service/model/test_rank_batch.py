"""Lists that are made together are those that would be made alone."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recommendation_service.model import candidates, rank_batch
from recommendation_service.model.eligibility import Description
from recommendation_service.model.explore import Recipient
from recommendation_service.model.rank_batch import RankingRequest
from shared.ids import LessonId, UserId
from tests.unit.recommendation_service.model.examples import NOW, Event, events, learned

requests = st.tuples(st.integers(1, 6), st.integers(0, 12), st.sets(st.integers(1, 14)))
WATCHED: list[Event] = [
    (user, 1 + (7 * user * place + place) % 12, NOW - 86_400.0 * user - 60.0 * place)
    for user in range(1, 5)
    for place in range(6)
]
SMALL_CATALOGUE = st.sampled_from([0, 5, 1_000])  # lessons in a catalogue that is not yet large


@given(events, st.lists(requests, max_size=6), SMALL_CATALOGUE, st.sampled_from([1, 2, 8]))
@example(WATCHED, [(1, 12, set()), (2, 12, set()), (4, 12, {3}), (6, 12, set())], 1_000, 8)
def test_nobody_gets_another_list_for_who_asks_at_the_same_time(
    stream: list[Event], caller: list[tuple[int, int, set[int]]], few: int, together: int
) -> None:
    model, histories = learned(stream)
    model.eligibility.describe(LessonId(13), Description(frozenset("a"), since=NOW - 1.0))
    model.eligibility.describe(LessonId(3), Description(hidden=True))
    wanted = [
        RankingRequest(
            histories.get(user, []),
            limit,
            {LessonId(one) for one in excluded},
            Recipient(
                UserId(user),
                0.3,
                model.eligibility.eligible(frozenset(), NOW) if user % 2 else None,
            ),
        )
        for user, limit, excluded in caller
    ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "SMALL_CATALOGUE", few)
        patch.setattr(candidates, "PER_SOURCE", 1)
        patch.setattr(rank_batch, "MAX_BATCH", together)
        alone = [model.recommend_all([one], NOW)[0] for one in wanted]
        found = model.recommend_all(wanted, NOW)

    for one, other in zip(found, alone, strict=True):
        assert [(item.lesson_id, item.reason) for item in one] == [
            (item.lesson_id, item.reason) for item in other
        ]
        assert [item.score for item in one] == pytest.approx([item.score for item in other])
