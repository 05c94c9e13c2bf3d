"""History: what one user met, and what each meeting adds to the model.

Everything the model counts is a sum over users of `contributions(history)`. So neither the order in
which events arrive nor their repetition matters, and whatever was added can be taken away again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from shared.ids import LessonId

WINDOW: Final = 10  # meetings that precede a meeting and are counted with it
SESSION: Final = 3600.0  # seconds; a shorter pause than this stays in the session


class Interaction(NamedTuple):
    """The first time a user met a lesson."""

    lesson_id: LessonId
    at: float  # seconds since 1970


class Contribution(NamedTuple):
    """What one meeting adds to the model."""

    lesson_id: LessonId
    at: float  # seconds since 1970
    preceding: tuple[LessonId, ...] = ()  # what the user met before, latest first, within WINDOW
    in_session: bool | None = None  # was the pause before it short? None: nothing came before


Bounds = tuple[float, float]  # when a lesson was first and last met by anyone


@dataclass(frozen=True, slots=True)
class Change:
    """What an event changes: contributions to add, to take away, and times to set anew.

    A first and a last time cannot be subtracted. Whoever takes a meeting away looks up what
    remains for the lessons in `lost` and adds it as `bounds`: None if nobody meets the lesson
    any more.
    """

    added: tuple[Contribution, ...] = ()
    removed: tuple[Contribution, ...] = ()
    bounds: Mapping[LessonId, Bounds | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.bounds)

    @property
    def lost(self) -> frozenset[LessonId]:
        """The lessons with a meeting that is taken away and not put back at the same time."""
        taken = Counter((one.lesson_id, one.at) for one in self.removed)
        taken.subtract((one.lesson_id, one.at) for one in self.added)
        return frozenset(lesson_id for lesson_id, _ in +taken)

    def with_bounds(self, bounds: Mapping[LessonId, Bounds | None]) -> "Change":
        """The same change, with the times of the lessons in `lost` as they are after it."""
        return replace(self, bounds=dict(bounds))


def ordered(meetings: Iterable[Interaction]) -> list[Interaction]:
    """Oldest first; meetings at the same time by lesson, so that arrival plays no part."""
    listed = list(meetings)
    if len(listed) > 1:  # mostly there is one
        listed.sort(key=lambda meeting: (meeting.at, meeting.lesson_id))
    return listed


def contributions(history: Sequence[Interaction]) -> list[Contribution]:
    """What a history, oldest first, adds to the model: one contribution for each meeting."""
    return [_contribution(history, place) for place in range(len(history))]


def latest_contribution(history: Sequence[Interaction]) -> Contribution:
    """What the last meeting of a history, oldest first, adds: no earlier one is any different."""
    return _contribution(history, len(history) - 1)


def difference(before: Sequence[Interaction], after: Sequence[Interaction]) -> Change:
    """What changes in the model when a user's history changes; both are oldest first.

    Only the meetings within WINDOW of a change count. So it is enough to pass the part of a long
    history around the change, as long as both parts begin and end with the same WINDOW meetings,
    or with the history itself.
    """
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    lost = Counter(_around(before, start, end))
    new = Counter(_around(after, start, end))
    return Change(tuple((new - lost).elements()), tuple((lost - new).elements()))


def _around(history: Sequence[Interaction], start: int, end: int) -> Iterable[Contribution]:
    """Contributions that may differ when all but the first `start` and last `end` meetings do."""
    stop = min(len(history), len(history) - end + WINDOW)
    return (_contribution(history, place) for place in range(start, stop))


def _contribution(history: Sequence[Interaction], place: int) -> Contribution:
    lesson_id, at = history[place]
    if place == 0:
        return Contribution(lesson_id, at)
    before = history[max(0, place - WINDOW) : place]
    preceding = tuple([meeting.lesson_id for meeting in reversed(before)])
    return Contribution(lesson_id, at, preceding, at - before[-1].at < SESSION)


def _common(left: Sequence[Interaction], right: Sequence[Interaction]) -> int:
    """How many meetings two sequences have in common at their beginning."""
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length
