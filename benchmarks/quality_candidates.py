"""Quality candidates: the loss of scoring a few hundred candidates against scoring all lessons.

Few lessons: the stream is replayed, and each question is asked twice of the same model, with all
lessons as candidates and with those that the model would select from a large catalogue.

Many lessons: the catalogue is copied until there are 100,000 lessons, each copy with its own users.
The model is folded from all histories before the first question, with the weights that one copy
taught. Then each watch comes in all copies at once, and each question is asked twice in one of
them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Final, NamedTuple
from unittest import mock

from benchmarks.quality_measure import LIMIT, AnswerLog, Clock, Figures, difference, interval
from benchmarks.quality_peers import Upnext
from benchmarks.quality_stream import Questions, Watch
from recommendation_service.model import candidates
from recommendation_service.model.history import Change, Contribution, Interaction
from recommendation_service.model.history import difference as change_of
from recommendation_service.model.model import Model
from recommendation_service.model.weights import Weights
from shared.ids import LessonId

MANY: Final = 100_000  # lessons
MAX_QUESTIONS: Final = 2_500  # questions about many lessons
ALL: Final = 1 << 62  # lessons up to which all are scored
NONE: Final = 0  # the same, where candidates are always chosen

Log = Callable[[str], None]
Histories = Mapping[int, Sequence[Interaction]]


class Mode:
    """A mode that scores all lessons up to `few`, and its answers."""

    def __init__(self, few: int) -> None:
        self.asked = AnswerLog()
        self.clock = Clock()
        self._few = few

    def ask(self, model: Model, history: Sequence[Interaction], came: Watch) -> None:
        """Ask the model before a watch, and keep the answer."""
        with mock.patch.object(candidates, "SMALL_CATALOGUE", self._few), self.clock:
            scored = model.recommend(history, came.at, LIMIT)
        self.asked.add(came, [one.lesson_id for one in scored])


class Known(NamedTuple):
    """What one copy of the catalogue holds before the first question."""

    histories: Histories
    weights: Weights
    lessons: int


def chosen_candidates(
    watches: Sequence[Watch], asked: Questions, log: Log, many: int = MANY
) -> dict[str, Figures]:
    """The figures of both modes, for the lessons of the stream and for many."""
    stream, numbers = _numbered(watches, asked)
    began = perf_counter()
    few, known = _ask_few(stream, numbers)
    log(f"{known.lessons:,} lessons and more: {perf_counter() - began:.0f} s")
    began = perf_counter()
    copies = -(-many // known.lessons)
    model, modes = _ask_many(stream, numbers, known, copies)
    log(f"{model.lessons:,} lessons: {perf_counter() - began:.0f} s")
    lessons = len({watch.lesson for watch in stream})
    return _rows(f"{lessons:,} lessons", few) | _rows(f"{model.lessons:,} lessons", modes)


def _numbered(watches: Sequence[Watch], asked: Questions) -> tuple[list[Watch], list[int]]:
    """First interactions, with lessons numbered from 0, and the indices of the questions."""
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


def _ask_few(stream: Sequence[Watch], numbers: Sequence[int]) -> tuple[tuple[Mode, Mode], Known]:
    """Ask in both modes while one model learns the stream; return its state before that, too."""
    modes, learned, questions = (Mode(ALL), Mode(NONE)), Upnext(), set(numbers)
    known = Known({}, Weights(), 0)
    for number, watch in enumerate(stream):
        if number == numbers[0]:
            weights = Weights.from_bytes(learned.model.weights.to_bytes())
            known = Known(dict(learned.histories), weights, learned.model.lessons)
        if number in questions:
            for mode in modes:
                mode.ask(learned.model, learned.histories[watch.user], watch)
        learned.learn(watch)
    return modes, known


def _ask_many(
    stream: Sequence[Watch], numbers: Sequence[int], known: Known, copies: int
) -> tuple[Model, tuple[Mode, Mode]]:
    """Ask in both modes about copies of the catalogue."""
    size = len({watch.lesson for watch in stream})
    model = Model.of(_copied(known.histories, copies, size), known.weights)
    modes, histories = (Mode(ALL), Mode(NONE)), dict(known.histories)
    questions = set(numbers[:MAX_QUESTIONS])
    for number in range(numbers[0], max(questions) + 1):
        watch, offset = stream[number], size * (number % copies)
        history = histories.get(watch.user, [])
        if number in questions:
            there = watch._replace(lesson=watch.lesson + offset)
            for mode in modes:
                mode.ask(model, _shifted(history, offset), there)
        longer = [*history, Interaction(LessonId(watch.lesson), watch.at)]
        histories[watch.user] = longer
        for contribution in change_of(history, longer).added:
            model.apply(Change(tuple(_everywhere(contribution, copies, size))))
    return model, modes


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


def _rows(title: str, modes: tuple[Mode, Mode]) -> dict[str, Figures]:
    everything, chosen = modes
    row = _row(chosen) | difference(chosen.asked, everything.asked)
    row["loss"] = round(1 - chosen.asked.ndcg / max(everything.asked.ndcg, 1e-9), 4)
    return {f"{title}, all scored": _row(everything), f"{title}, candidates": row}


def _row(mode: Mode) -> Figures:
    return {
        "questions": len(mode.asked.gains),
        "ndcg@10": round(mode.asked.ndcg, 4),
        "interval": interval(mode.asked.users, mode.asked.gains),
        "hit@10": round(mode.asked.hit, 4),
        "recommend_us": mode.clock.microseconds,
    }
