"""Quality robots: how users who watch everything harm the recommendations of all others.

In the middle of the stream, before anything is asked, robots come. Each watches every lesson known
by then once, 20 in a second, all robots at the same time: in the order of the ids, or each in a
random order of its own. A heavy user watches them all too, but as people do: in the order of real
histories, one lesson every five minutes. Questions are about real users only.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from time import perf_counter
from typing import Final, NamedTuple

from benchmarks.quality_measure import Figures, Measured, difference, measure
from benchmarks.quality_peers import Upnext
from benchmarks.quality_stream import Questions, Watch

ROBOTS: Final = (1, 10, 50)
ROBOT_INTERVAL: Final = 0.05  # seconds between two watches of a robot
HEAVY_USER_INTERVAL: Final = 300.0  # seconds between two watches of the heavy user
NOBODY: Final = "no robots"

Log = Callable[[str], None]
Orders = Iterable[Sequence[int]]  # of the lessons, for each intruder


class Halves(NamedTuple):
    """First interactions before and after the robots come."""

    before: list[Watch]
    after: list[Watch]
    asked: Questions  # numbers in `after`


def robots(
    watches: Sequence[Watch], asked: Questions, log: Log, make: Callable[[], Upnext] = Upnext
) -> dict[str, Figures]:
    """The figures without and with robots, and the differences."""
    halves = _halves(watches, asked)
    learned = make()
    for watch in halves.before:
        learned.learn(watch)
    measured: dict[str, Measured] = {}
    for name, intruders in _intruders(halves).items():
        began = perf_counter()
        stream, numbers = _joined(halves, intruders)
        measured[name] = measure(deepcopy(learned), stream, numbers)
        log(f"{name}: {perf_counter() - began:.0f} s")
    return {name: _row(one, measured[NOBODY]) for name, one in measured.items()}


def _halves(watches: Sequence[Watch], asked: Questions) -> Halves:
    begin = min(asked.warm | asked.cold)
    seen: set[tuple[int, int]] = set()
    halves = Halves([], [], Questions(set(), set()))
    for number, watch in enumerate(watches):
        if (watch.user, watch.lesson) in seen:
            continue
        seen.add((watch.user, watch.lesson))
        for ours, theirs in zip(halves.asked, asked, strict=True):
            if number in theirs:
                ours.add(len(halves.after))
        (halves.after if number >= begin else halves.before).append(watch)
    return halves


def _intruders(halves: Halves) -> dict[str, list[Watch]]:
    """The watches of the intruders, by name."""
    known = sorted({watch.lesson for watch in halves.before})
    chance = random.Random(1)  # noqa: S311
    start = halves.after[0].at
    found: dict[str, list[Watch]] = {NOBODY: []}
    for number in ROBOTS:
        plural = "s" if number > 1 else ""
        found[f"{number} robot{plural}, by id"] = _watches([known] * number, start, ROBOT_INTERVAL)
        mixed = [chance.sample(known, len(known)) for _ in range(number)]
        found[f"{number} robot{plural}, at random"] = _watches(mixed, start, ROBOT_INTERVAL)
    found["one heavy user"] = _watches([_along(halves.before, chance)], start, HEAVY_USER_INTERVAL)
    return found


def _watches(orders: Orders, start: float, pace: float) -> list[Watch]:
    return [
        Watch(-number, lesson, start + place * pace)
        for number, order in enumerate(orders, 1)
        for place, lesson in enumerate(order)
    ]


def _along(before: Iterable[Watch], chance: random.Random) -> list[int]:
    """Every lesson once, along the histories of real users, one after the other."""
    histories: dict[int, list[int]] = {}
    for watch in before:
        histories.setdefault(watch.user, []).append(watch.lesson)
    orders = list(histories.values())
    chance.shuffle(orders)
    return list(dict.fromkeys(chain.from_iterable(orders)))


def _joined(halves: Halves, intruders: Sequence[Watch]) -> tuple[list[Watch], Questions]:
    """The second half with the intruders' watches in time order, and the questions there."""
    numbered = [(watch, -1) for watch in intruders]
    numbered += [(watch, number) for number, watch in enumerate(halves.after)]
    numbered.sort(key=lambda one: one[0].at)
    places = {number: place for place, (_, number) in enumerate(numbered)}
    moved = Questions(*({places[number] for number in numbers} for numbers in halves.asked))
    return [watch for watch, _ in numbered], moved


def _row(one: Measured, without: Measured) -> Figures:
    names = ("ndcg@10", "interval", "hit@10", "cold_start", "learn_us", "recommend_us")
    row = {name: one.figures[name] for name in names}
    return row if one is without else row | difference(one.warm, without.warm)
