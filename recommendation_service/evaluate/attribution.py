"""Served: which lessons users were recommended lately, and how many of their watches that led to.

A watch comes from a list when its lesson was on one that the user got in the day before. Of users
who got none, nothing can be said; their watches are not counted.

All of it is written behind, and may be lost with the process. While more lists are served than is
worth remembering, those of a sample of users are: all of a user's, or none.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import insert, select, update

from recommendation_service.event import Event
from recommendation_service.learn.locks import lock_shared
from recommendation_service.learn.tombstones import read_tombstones
from recommendation_service.tables import attribution, served_lists
from shared.clock import utc_now
from shared.database.database import Database, DatabaseUnavailable
from shared.events import Kind
from shared.ids import LessonId, UserId
from shared.process.background import log_and_continue
from shared.uuid7 import first_id_at, new_id

REMEMBERED: Final = timedelta(days=1)
INTERVAL: Final = 1.0  # seconds between two looks
MAX_LISTS: Final = 100  # users whose lists are written in one look
MAX_WATCHES_WAITING: Final = 10_000  # that wait to be looked at; then the oldest go
SETTLED: Final = timedelta(seconds=3)  # after which the lists before a watch are written
SKEW: Final = timedelta(seconds=1)  # by which the clocks of two machines may differ
ALL: Final = 2**16  # the sample of all users


class Watched(NamedTuple):
    """A watch that may come from a list."""

    user_id: UserId
    lesson_id: LessonId
    at: datetime
    learned_at: datetime


class List(NamedTuple):
    """Lessons that a user was recommended."""

    served_at: datetime
    lesson_ids: set[LessonId]


@dataclass(frozen=True, slots=True)
class Attribution:
    """How many watches of users who got a list there were, and how many of them came from one."""

    watches: int
    from_lists: int

    @property
    def share(self) -> float:
        """Return the part of the watches that came from a list."""
        return round(self.from_lists / self.watches, 4) if self.watches else 0.0


class Served:
    """What this process served and learned lately."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lists: dict[UserId, List] = {}
        self._watched: deque[Watched] = deque(maxlen=MAX_WATCHES_WAITING)
        self._sample = ALL

    def note_list(self, user_id: UserId, lesson_ids: Iterable[LessonId]) -> None:
        """Remember that a user was recommended these lessons."""
        # Multiplied by an odd constant, ids that follow each other are spread.
        if user_id * 40_503 % ALL < self._sample:
            if user_id not in self._lists:
                self._lists[user_id] = List(utc_now(), set())
            self._lists[user_id].lesson_ids.update(lesson_ids)

    def note_watches(self, events: Iterable[Event]) -> None:
        """Remember which watches were learned."""
        now = utc_now()
        self._watched.extend(
            Watched(event.user_id, event.lesson_id, event.occurred_at, now)
            for event in events
            if event.kind is Kind.CREATED
        )

    async def run(self) -> None:
        """Write down what there is, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            with log_and_continue(DatabaseUnavailable, "what was served is not remembered for now"):
                await self.save()
                await self.attribute(utc_now() - SETTLED)

    async def save(self) -> None:
        """Write the lists that were served."""
        served, self._lists = self._lists, {}
        if len(served) > MAX_LISTS:
            self._sample //= 2
        elif len(served) < MAX_LISTS // 4:
            self._sample = min(self._sample * 2 or 1, ALL)
        if not served:
            return
        async with self._database.write() as connection:
            await lock_shared(connection)  # nobody is erased meanwhile
            erased = await read_tombstones(self._database, connection, served)
            rows = [
                {
                    "id": new_id(),
                    "user_id": user_id,
                    "served_at": one.served_at,
                    "lesson_ids": sorted(one.lesson_ids),
                }
                for user_id, one in list(served.items())[:MAX_LISTS]
                if user_id not in erased or one.served_at > erased[user_id]
            ]
            if rows:
                await connection.execute(insert(served_lists), rows)

    async def attribute(self, before: datetime) -> None:
        """Count the watches that were learned before, as far as their users got lists."""
        watched = []
        while self._watched and self._watched[0].learned_at <= before:
            watched.append(self._watched.popleft())
        if not watched:
            return
        served = await self._served_to({one.user_id for one in watched})
        led = [_came_from(one, served[one.user_id]) for one in watched]
        counted = [one for one in led if one is not None]
        if counted:
            counters = {
                attribution.c.watches: attribution.c.watches + len(counted),
                attribution.c.from_lists: attribution.c.from_lists + sum(counted),
            }
            async with self._database.write() as connection:
                await connection.execute(update(attribution).values(counters))

    async def _served_to(self, users: set[UserId]) -> defaultdict[UserId, list[List]]:
        lists = served_lists.c
        query = select(lists.user_id, lists.served_at, lists.lesson_ids).where(
            self._database.is_any_of(lists.user_id, users),
            lists.id >= first_id_at(utc_now() - REMEMBERED - SETTLED),
        )
        served: defaultdict[UserId, list[List]] = defaultdict(list)
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                served[row.user_id].append(List(row.served_at, set(row.lesson_ids)))
        return served


def _came_from(watched: Watched, lists: Sequence[List]) -> bool | None:
    """Return whether a watch came from one of the lists; None where the user got none before."""
    ages = [(watched.at - one.served_at, one.lesson_ids) for one in lists]
    before = [lessons for age, lessons in ages if -SKEW <= age <= REMEMBERED]
    return any(watched.lesson_id in lessons for lessons in before) if before else None


async def attributed(database: Database) -> Attribution:
    """Return what was counted since ever."""
    columns = attribution.c.watches, attribution.c.from_lists
    async with database.read() as connection:
        return Attribution(*(await connection.execute(select(*columns))).one())
