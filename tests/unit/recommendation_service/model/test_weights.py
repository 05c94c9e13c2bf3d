"""Weights: learned in order, kept as bytes, and worth learning."""

import pytest

from recommendation_service.model.model import Model
from recommendation_service.model.weights import Weights
from shared.ids import LessonId
from tests.unit.recommendation_service.model.examples import NOW, Event, Histories, learned

STREAM: list[Event] = [
    (user, 1 + (user * 3 + step) % 20, NOW - 9_000 + 100 * user + 7 * step)
    for user in range(40)
    for step in range(8)
]


def trained(weights: Weights | None = None) -> tuple[Model, Histories, list[int | None]]:
    model, histories = learned(STREAM)
    model.weights = weights or model.weights
    ranks = [
        model.learn_weights(history[:-1], history[-1].lesson_id, history[-1].at)
        for history in histories.values()
    ]
    return model, histories, ranks


def test_the_same_events_teach_the_same_weights() -> None:
    one, _, ranks = trained()
    other, _, same_ranks = trained()

    assert one.weights.to_bytes() == other.weights.to_bytes()
    assert ranks == same_ranks
    assert all(rank is not None and 1 <= rank <= 20 for rank in ranks)


def test_weights_survive_as_bytes() -> None:
    model, histories, _ = trained()
    before = model.recommend(histories[3], NOW, 5)

    model.weights = Weights.from_bytes(model.weights.to_bytes())

    assert model.recommend(histories[3], NOW, 5) == before
    trained(model.weights)  # they can be learned on


def test_learning_raises_the_rank_of_what_came() -> None:
    model, histories, _ = trained()
    history = histories[3]
    came = model.recommend(history, NOW, 20)[4].lesson_id

    ranks = [model.learn_weights(history, came, NOW) for _ in range(30)]

    assert ranks[0] == 5
    assert ranks[-1] is not None
    assert ranks[-1] < 5


def test_the_weights_are_no_part_of_the_fingerprint() -> None:
    model, histories = learned(STREAM)
    fingerprint = model.fingerprint

    model.learn_weights(histories[3][:-1], histories[3][-1].lesson_id, NOW)

    assert model.fingerprint == fingerprint


@pytest.mark.parametrize("lesson", [404, 1])
def test_a_lesson_that_is_no_candidate_teaches_nothing(lesson: int) -> None:
    model, histories = learned([(1, 1, NOW), (2, 2, NOW)])
    before = model.weights.to_bytes()

    assert model.learn_weights(histories[1], LessonId(lesson), NOW) is None
    assert model.weights.to_bytes() == before


def test_weights_that_another_version_saved_for_other_features_are_learned_anew() -> None:
    assert Weights.from_bytes(b"\0" * 16).to_bytes() == Weights().to_bytes()
