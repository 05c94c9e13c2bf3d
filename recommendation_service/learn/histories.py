"""Histories: find out how the interactions of users change, and what that changes in the model.

The model's change is the difference between what a user's history contributes before and after, see
`model/history.py`. Most watches come after all others of their user: then the latest part of the
history is enough, and each is a step of its own, which can be predicted before it is learned.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from recommendation_service.learn.interactions import (
    FirstWatchedAt,
    earliest_watches,
    stored_interactions,
)
from recommendation_service.learn.recent_interactions import (
    HistoryPosition,
    interaction_at,
    interactions_around,
    recent_interactions_of,
)
from recommendation_service.learn.watch_states import ChangedPairs, Pair
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

RECENT: Final = 64  # latest interactions that are read first; most watches come after all of them


class ModelStep(NamedTuple):
    """What one interaction, or one correction of the past, changes in the model."""

    user_id: UserId
    before: Sequence[Interaction]  # the history until then, oldest first; RECENT at least
    change: Change
    interaction: Interaction | None  # the one that is added last; None for a correction


class BatchChanges(NamedTuple):
    """What a batch of events changes."""

    steps: Sequence[ModelStep] = ()  # in order of time
    change: Change = Change()  # all steps together
    interactions: Mapping[Pair, FirstWatchedAt] = MappingProxyType({})  # to be stored


class HistoryChange(NamedTuple):
    """What changes in the history of one user: since when each lesson counts."""

    user_id: UserId
    old: dict[LessonId, FirstWatchedAt]
    new: dict[LessonId, FirstWatchedAt]

    @property
    def positions(self) -> set[HistoryPosition]:
        """The positions in the history where something changes."""
        dated = (*self.old.items(), *self.new.items())
        return {(time, lesson_id) for lesson_id, time in dated if time}


async def change_histories(
    database: Database, connection: AsyncConnection, pairs: ChangedPairs
) -> BatchChanges:
    """Return how the interactions of the pairs change, and the model with them; write nothing.

    The caller holds the locks of the users.
    """
    users = {pair.user_id for pair in pairs.watched.keys() | pairs.withdrawn}
    if not users:
        return BatchChanges()
    recent = await recent_interactions_of(database, connection, users, RECENT)
    changes = await _history_changes(database, connection, pairs, recent)
    steps: list[ModelStep] = []
    for one in changes:
        history = recent.get(one.user_id, [])
        if not _reaches(history, one):
            history = await _around(connection, one)
        steps += _steps(history, one)
    steps.sort(key=_time_of)
    new = {Pair(one.user_id, lesson): at for one in changes for lesson, at in one.new.items()}
    return BatchChanges(steps, _joined(steps), new)


async def _history_changes(
    database: Database,
    connection: AsyncConnection,
    pairs: ChangedPairs,
    recent: Mapping[UserId, Sequence[Interaction]],
) -> list[HistoryChange]:
    """Return a change for each user whose history changes."""
    added, unclear = _classified(pairs.watched, recent)
    before = await stored_interactions(database, connection, unclear | pairs.withdrawn)
    after: dict[Pair, FirstWatchedAt] = {
        pair: min(pairs.watched[pair], before.get(pair) or pairs.watched[pair])
        for pair in added | unclear
    }
    after |= await earliest_watches(database, connection, pairs.withdrawn)
    changes: dict[UserId, HistoryChange] = {}
    for pair, time in after.items():
        if before.get(pair) != time:
            user_id, lesson_id = pair
            one = changes.setdefault(user_id, HistoryChange(user_id, {}, {}))
            one.old[lesson_id], one.new[lesson_id] = before.get(pair), time
    return list(changes.values())


def _classified(
    watched: Mapping[Pair, datetime], recent: Mapping[UserId, Sequence[Interaction]]
) -> tuple[set[Pair], set[Pair]]:
    """Return the pairs without an interaction so far, and the unclear pairs.

    The older interactions of unclear pairs have to be read. All other pairs have an interaction
    that is as early as the watch: they change nothing.
    """
    times = {
        user_id: {interaction.lesson_id: interaction.at for interaction in history}
        for user_id, history in recent.items()
    }
    added: set[Pair] = set()
    unclear: set[Pair] = set()
    for pair, time in watched.items():
        of_user = times.get(pair.user_id, {})
        at = of_user.get(pair.lesson_id)
        if at is None and len(of_user) < RECENT:
            added.add(pair)
        elif at is None or time.timestamp() < at:
            unclear.add(pair)
    return added, unclear


def _reaches(recent: Sequence[Interaction], one: HistoryChange) -> bool:
    """Whether the recent part of a history is enough to tell what changes."""
    if len(recent) < RECENT:
        return True
    safe = recent[WINDOW].at
    return min(one.positions)[0].timestamp() > safe


async def _around(connection: AsyncConnection, one: HistoryChange) -> list[Interaction]:
    """Return as much of a long history as tells what changes, see `difference`.

    The parts around the positions are joined as if nothing were between them. Each part extends
    WINDOW interactions beyond its changes on both sides. So the contributions where two parts meet
    are the same before and after.
    """
    count = WINDOW + len(one.new)  # as many of them may be removed
    return await interactions_around(connection, one.user_id, one.positions, count)


def _steps(history: Sequence[Interaction], one: HistoryChange) -> list[ModelStep]:
    """Return a step for each interaction that comes after all others, or one correction."""
    new = ordered([interaction_at(lesson, time) for lesson, time in one.new.items() if time])
    if any(one.old.values()) or (history and new and new[0].at <= history[-1].at):
        others = [interaction for interaction in history if interaction.lesson_id not in one.old]
        change = difference(history, ordered([*others, *new]))
        return [ModelStep(one.user_id, history, change, None)]
    steps, before = [], list(history)
    for interaction in new:
        after = [*before, interaction]
        change = Change((latest_contribution(after),))
        steps.append(ModelStep(one.user_id, before, change, interaction))
        before = after
    return steps


def _time_of(step: ModelStep) -> float:
    return step.interaction.at if step.interaction else 0.0


def _joined(steps: Iterable[ModelStep]) -> Change:
    """Return the changes of all steps as one."""
    changes = [step.change for step in steps]
    return Change(
        added=tuple(one for change in changes for one in change.added),
        removed=tuple(one for change in changes for one in change.removed),
    )
