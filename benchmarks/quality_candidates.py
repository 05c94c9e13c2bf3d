"""Quality candidates: what scoring a few hundred lessons loses against scoring all of them.

Few lessons: the stream is replayed, and each question is asked twice of the same model, with all
lessons as candidates and with those that the model would choose of a large catalogue.

Many lessons: the catalogue is laid side by side until there are 100,000 lessons, each copy with
users of its own. The model is folded from all histories before the first question, with the weights
that one copy taught. Then each watch comes in all copies at once, and each question is asked twice
in one of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Final, NamedTuple
from unittest import mock

from benchmarks.quality_measure import LIMIT, Asked, Clock, Figures, difference, interval
from benchmarks.quality_peers import Upnext
from benchmarks.quality_stream import Questions, Watch
from recommendation_service.model import candidates
from recommendation_service.model.history import Change, Contribution, Interaction
from recommendation_service.model.history import difference as change_of
from recommendation_service.model.model import Model
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

MANY: Final = 100_000  # lessons
ENOUGH: Final = 2_500  # questions about many lessons
ALL: Final = 1 << 62  # lessons up to which all are scored
NONE: Final = 0  # the same, where candidates are always chosen

Say = Callable[[str], None]
Histories = Mapping[int, Sequence[Interaction]]


class Way:
    """Asking with all lessons as candidates up to so many, and what came of it."""

    def __init__(self, few: int) -> None:
        self.asked = Asked()
        self.clock = Clock()
        self._few = few

    def ask(self, model: Model, history: Sequence[Interaction], came: Watch) -> None:
        """Ask the model what comes, and note whether it did."""
        with mock.patch.object(candidates, "SMALL_CATALOGUE", self._few), self.clock:
            scored = model.recommend(history, came.at, LIMIT)
        self.asked.note(came, [one.lesson_id for one in scored])


class Known(NamedTuple):
    """What one copy of the catalogue holds before the first question."""

    histories: Histories
    weights: Weights
    lessons: int


def chosen_candidates(
    watches: Sequence[Watch], asked: Questions, say: Say, many: int = MANY
) -> dict[str, Figures]:
    """The figures of both ways, for the lessons there are, and for many."""
    stream, numbers = _numbered(watches, asked)
    began = perf_counter()
    few, known = _ask_few(stream, numbers)
    say(f"{known.lessons:,} lessons and more: {perf_counter() - began:.0f} s")
    began = perf_counter()
    copies = -(-many // known.lessons)
    model, ways = _ask_many(stream, numbers, known, copies)
    say(f"{model.lessons:,} lessons: {perf_counter() - began:.0f} s")
    lessons = len({watch.lesson for watch in stream})
    return _rows(f"{lessons:,} lessons", few) | _rows(f"{model.lessons:,} lessons", ways)


def _numbered(watches: Sequence[Watch], asked: Questions) -> tuple[list[Watch], list[int]]:
    """First meetings, with lessons numbered from 0; and the places of the questions there."""
    order: dict[int, int] = {}
    seen: set[tuple[int, int]] = set()
    stream: list[Watch] = []
    numbers = []
    for number, watch in enumerate(watches):
        if (watch.user, watch.lesson) not in seen:
            seen.add((watch.user, watch.lesson))
            if number in asked.warm:
                numbers.append(len(stream))
            stream.append(watch._replace(lesson=order.setdefault(watch.lesson, len(order))))
    return stream, numbers


def _ask_few(stream: Sequence[Watch], numbers: Sequence[int]) -> tuple[tuple[Way, Way], Known]:
    """Ask both ways while one model learns the stream; and what it knew before that."""
    ways, learned, questions = (Way(ALL), Way(NONE)), Upnext(), set(numbers)
    known = Known({}, Weights(), 0)
    for number, watch in enumerate(stream):
        if number == numbers[0]:
            weights = Weights.from_bytes(learned.model.weights.to_bytes())
            known = Known(dict(learned.histories), weights, learned.model.lessons)
        if number in questions:
            for way in ways:
                way.ask(learned.model, learned.histories[watch.user], watch)
        learned.learn(watch)
    return ways, known


def _ask_many(
    stream: Sequence[Watch], numbers: Sequence[int], known: Known, copies: int
) -> tuple[Model, tuple[Way, Way]]:
    """Ask both ways about copies of the catalogue, side by side."""
    size = len({watch.lesson for watch in stream})
    model = Model.of(_copied(known.histories, copies, size), known.weights)
    ways, questions, histories = (Way(ALL), Way(NONE)), set(numbers[:ENOUGH]), dict(known.histories)
    for number in range(numbers[0], max(questions) + 1):
        watch, offset = stream[number], size * (number % copies)
        history = histories.get(watch.user, [])
        if number in questions:
            there = watch._replace(lesson=watch.lesson + offset)
            for way in ways:
                way.ask(model, _shifted(history, offset), there)
        longer = [*history, Interaction(LessonId(watch.lesson), watch.at)]
        histories[watch.user] = longer
        for contribution in change_of(history, longer).added:
            model.apply(Change(tuple(_everywhere(contribution, copies, size))))
    return model, ways


def _copied(histories: Histories, copies: int, size: int) -> Iterator[list[Interaction]]:
    for copy in range(copies):
        for history in histories.values():
            yield _shifted(history, copy * size)


def _shifted(history: Sequence[Interaction], offset: int) -> list[Interaction]:
    return [Interaction(LessonId(lesson + offset), at) for lesson, at in history]


def _everywhere(one: Contribution, copies: int, size: int) -> Iterator[Contribution]:
    for offset in range(0, copies * size, size):
        preceding = tuple(LessonId(lesson + offset) for lesson in one.preceding)
        yield one._replace(lesson_id=LessonId(one.lesson_id + offset), preceding=preceding)


def _rows(title: str, ways: tuple[Way, Way]) -> dict[str, Figures]:
    everything, chosen = ways
    row = _row(chosen) | difference(chosen.asked, everything.asked)
    row["loss"] = round(1 - chosen.asked.ndcg / max(everything.asked.ndcg, 1e-9), 4)
    return {f"{title}, all scored": _row(everything), f"{title}, candidates": row}


def _row(way: Way) -> Figures:
    return {
        "questions": len(way.asked.gains),
        "ndcg@10": round(way.asked.ndcg, 4),
        "interval": interval(way.asked.users, way.asked.gains),
        "hit@10": round(way.asked.hit, 4),
        "recommend_us": way.clock.microseconds,
    }
