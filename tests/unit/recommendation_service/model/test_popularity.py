"""What is worked out once for all users is what each of them would find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.model import columns
from recommendation_service.model.model import Model
from tests.unit.recommendation_service.model.examples import (
    NOW,
    Event,
    Histories,
    change_history,
    events,
    histories_of,
    learned,
)

PAUSES = st.sampled_from([0.0, 3600.0, 30 * 86_400.0])  # seconds before NOW


@given(events, st.integers(1, 5), PAUSES)
def test_having_answered_changes_no_later_answer(
    stream: list[Event], user: int, pause: float
) -> None:
    fresh, histories = learned(stream)
    history = histories.get(user, [])

    asked = Model()
    known: Histories = {}
    for number, event in enumerate(stream):
        after = histories_of([*stream[:number], event]).get(event[0], [])
        change_history(asked, known, event[0], after)
        asked.recommend(known[event[0]], NOW - pause, 10)
        asked.recommend(history, NOW, 10)

    assert asked.recommend(history, NOW, 10) == fresh.recommend(history, NOW, 10)


@given(events, st.integers(1, 5))
def test_few_of_many_lessons_are_looked_at_alone_and_share_alike(
    stream: list[Event], user: int
) -> None:
    model, histories = learned(stream)
    history = histories.get(user, [])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "MIN_WHOLE", 2.0)
        alone = {one.lesson_id for one in model.recommend(history, NOW, 20)}

    assert alone == {one.lesson_id for one in model.recommend(history, NOW, 20)}
