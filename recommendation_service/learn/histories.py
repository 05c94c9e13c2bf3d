"""Histories: bring what users met in line with their watches, and tell the model what changes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.interactions import First, first_watches, known_meetings
from recommendation_service.learn.recent_interactions import (
    Place,
    latest_meetings_of,
    meeting_at,
    meetings_around,
)
from recommendation_service.learn.watch_states import Pair, Touched
from recommendation_service.model.history import (
    WINDOW,
    Change,
    Interaction,
    difference,
    latest_contribution,
    ordered,
)
from shared.database.database import Database
from shared.ids import LessonId, UserId

RECENT: Final = 64  # latest meetings that are looked at first; most events come after all of them


class Step(NamedTuple):
    """What one meeting, or one correction, changes."""

    user_id: UserId
    before: Sequence[Interaction]  # the user's history until then, oldest first; RECENT at least
    change: Change
    met: Interaction | None  # the lesson that came next; None for a correction of the past


class Progress(NamedTuple):
    """What a batch of events changes: step by step in order of time, and as a whole."""

    steps: Sequence[Step] = ()
    change: Change = Change()
    met: Mapping[Pair, First] = MappingProxyType({})  # when pairs meet now, to be stored


class Correction(NamedTuple):
    """What changes in one user's history: lessons, and when they were and are first met."""

    user_id: UserId
    old: dict[LessonId, First]
    new: dict[LessonId, First]

    @property
    def places(self) -> set[Place]:
        """Return where in the history something changes."""
        dated = (*self.old.items(), *self.new.items())
        return {(time, lesson_id) for lesson_id, time in dated if time}


async def change_histories(
    database: Database, connection: AsyncConnection, touched: Touched
) -> Progress:
    """Return what brings the meetings in line with the watches, and what it means for the model."""
    users = {pair.user_id for pair in touched.seen.keys() | touched.withdrawn}
    if not users:
        return Progress()
    recent = await latest_meetings_of(database, connection, users, RECENT)
    corrections = await _corrections(database, connection, touched, recent)
    steps: list[Step] = []
    for one in corrections:
        history = recent.get(one.user_id, [])
        if not _reaches(history, one):
            history = await _around(connection, one)
        steps += _steps(history, one)
    steps.sort(key=_time_of)
    met = {Pair(one.user_id, lesson): at for one in corrections for lesson, at in one.new.items()}
    return Progress(steps, _joined(steps), met)


async def _corrections(
    database: Database,
    connection: AsyncConnection,
    touched: Touched,
    recent: Mapping[UserId, Sequence[Interaction]],
) -> list[Correction]:
    """Return, for each user whose history changes, how."""
    fresh, unclear = _told_apart(touched.seen, recent)
    before = await known_meetings(database, connection, unclear | touched.withdrawn)
    after: dict[Pair, First] = {
        pair: min(touched.seen[pair], before.get(pair) or touched.seen[pair])
        for pair in fresh | unclear
    }
    after |= await first_watches(database, connection, touched.withdrawn)
    users: dict[UserId, Correction] = {}
    for pair, time in after.items():
        if before.get(pair) != time:
            user_id, lesson_id = pair
            one = users.setdefault(user_id, Correction(user_id, {}, {}))
            one.old[lesson_id], one.new[lesson_id] = before.get(pair), time
    return list(users.values())


def _told_apart(
    seen: Mapping[Pair, datetime], recent: Mapping[UserId, Sequence[Interaction]]
) -> tuple[set[Pair], set[Pair]]:
    """Return which pairs meet for the first time, and of which the latest meetings do not tell.

    The others have met before, and no later: they change nothing.
    """
    met = {
        user_id: {meeting.lesson_id: meeting.at for meeting in history}
        for user_id, history in recent.items()
    }
    fresh: set[Pair] = set()
    unclear: set[Pair] = set()
    for pair, time in seen.items():
        of_user = met.get(pair.user_id, {})
        at = of_user.get(pair.lesson_id)
        if at is None and len(of_user) < RECENT:
            fresh.add(pair)
        elif at is None or time.timestamp() < at:
            unclear.add(pair)
    return fresh, unclear


def _reaches(recent: Sequence[Interaction], one: Correction) -> bool:
    """Whether the part of a history that was read is enough to tell what changes."""
    if len(recent) < RECENT:
        return True
    safe = recent[WINDOW].at
    return min(one.places)[0].timestamp() > safe


async def _around(connection: AsyncConnection, one: Correction) -> list[Interaction]:
    """Return as much of a long history as tells what changes, see `difference`.

    The parts around each place are put together as if nothing were between them. Where two of them
    meet, the later one begins WINDOW meetings before anything changes in it, and the earlier one
    ends WINDOW meetings after; so what seems to happen there is the same before and after.
    """
    count = WINDOW + len(one.new)  # as many of them may be what is taken away
    return await meetings_around(connection, one.user_id, one.places, count)


def _steps(history: Sequence[Interaction], one: Correction) -> list[Step]:
    """Return a step for each meeting that comes after all others; one for everything else."""
    new = ordered([meeting_at(lesson, time) for lesson, time in one.new.items() if time])
    if any(one.old.values()) or (history and new and new[0].at <= history[-1].at):
        others = [meeting for meeting in history if meeting.lesson_id not in one.old]
        change = difference(history, ordered([*others, *new]))
        return [Step(one.user_id, history, change, None)]
    steps, key_line = [], list(history)
    for meeting in new:
        grown = [*key_line, meeting]
        steps.append(Step(one.user_id, key_line, Change((latest_contribution(grown),)), meeting))
        key_line = grown
    return steps


def _time_of(step: Step) -> float:
    return step.met.at if step.met else 0.0


def _joined(steps: Iterable[Step]) -> Change:
    """Make one change of many."""
    parts = [step.change for step in steps]
    return Change(
        added=tuple(one for part in parts for one in part.added),
        removed=tuple(one for part in parts for one in part.removed),
    )
