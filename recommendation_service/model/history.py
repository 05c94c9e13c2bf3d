"""History: the interactions of one user, and what each of them adds to the model.

Everything the model counts is a sum over users of `contributions(history)`. So neither the order in
which events arrive nor their repetition matters, and whatever was added can be subtracted again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from shared.ids import LessonId

WINDOW: Final = 10  # interactions that are counted together with the one after them
SESSION: Final = 3600.0  # seconds; a shorter pause than this does not end a session


class Interaction(NamedTuple):
    """The first time a user watched a lesson."""

    lesson_id: LessonId
    at: float  # seconds since 1970


class Contribution(NamedTuple):
    """What one interaction adds to the model."""

    lesson_id: LessonId
    at: float  # seconds since 1970
    preceding: tuple[LessonId, ...] = ()  # lessons before, latest first, within WINDOW
    in_session: bool | None = None  # after a short pause? None: nothing came before


Bounds = tuple[float, float]  # first and last time of an interaction with a lesson


@dataclass(frozen=True, slots=True)
class Change:
    """What an event changes: contributions to add and to subtract, and bounds to set.

    First and last times cannot be subtracted. Who removes interactions looks up the times that
    remain for the lessons in `lost`, and sets them as `bounds`: None if no interaction remains.
    """

    added: tuple[Contribution, ...] = ()
    removed: tuple[Contribution, ...] = ()
    bounds: Mapping[LessonId, Bounds | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.bounds)

    @property
    def lost(self) -> frozenset[LessonId]:
        """The lessons with an interaction that is removed and not added at the same time."""
        removed = Counter((one.lesson_id, one.at) for one in self.removed)
        removed.subtract((one.lesson_id, one.at) for one in self.added)
        return frozenset(lesson_id for lesson_id, _ in +removed)

    def with_bounds(self, bounds: Mapping[LessonId, Bounds | None]) -> "Change":
        """The same change, with the bounds of the lessons in `lost` after it."""
        return replace(self, bounds=dict(bounds))


def ordered(interactions: Iterable[Interaction]) -> list[Interaction]:
    """Oldest first; equal times by lesson, so that the order of arrival does not matter."""
    listed = list(interactions)
    if len(listed) > 1:  # mostly there is one
        listed.sort(key=lambda one: (one.at, one.lesson_id))
    return listed


def contributions(history: Sequence[Interaction]) -> list[Contribution]:
    """What a history, oldest first, adds to the model: a contribution for each interaction."""
    return [_contribution(history, position) for position in range(len(history))]


def latest_contribution(history: Sequence[Interaction]) -> Contribution:
    """What the last interaction of a history adds; the contributions before it do not change."""
    return _contribution(history, len(history) - 1)


def difference(before: Sequence[Interaction], after: Sequence[Interaction]) -> Change:
    """What changes in the model when a user's history changes; both are oldest first.

    Only interactions within WINDOW of the change matter. So the part of a long history around it is
    enough, if both parts begin and end with the same WINDOW interactions or with the history.
    """
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    lost = Counter(_around(before, start, end))
    new = Counter(_around(after, start, end))
    return Change(tuple((new - lost).elements()), tuple((lost - new).elements()))


def _around(history: Sequence[Interaction], start: int, end: int) -> Iterable[Contribution]:
    """Contributions that may differ, if the first `start` and last `end` interactions do not."""
    stop = min(len(history), len(history) - end + WINDOW)
    return (_contribution(history, position) for position in range(start, stop))


def _contribution(history: Sequence[Interaction], position: int) -> Contribution:
    lesson_id, at = history[position]
    if position == 0:
        return Contribution(lesson_id, at)
    before = history[max(0, position - WINDOW) : position]
    preceding = tuple([interaction.lesson_id for interaction in reversed(before)])
    return Contribution(lesson_id, at, preceding, at - before[-1].at < SESSION)


def _common(left: Sequence[Interaction], right: Sequence[Interaction]) -> int:
    """The length of the common beginning of two sequences."""
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length
