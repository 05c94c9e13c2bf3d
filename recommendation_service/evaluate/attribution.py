"""Attribution: which impressions users got, and how many of their watches came from one.

An impression is a list of lessons that a user was recommended. A watch comes from it when its
lesson was on the list and the watch happened within the attribution window. The watches of users
without an impression in that window are not counted: they show nothing about lists.

All of it is written behind, and may be lost with the process. While many users get lists, only a
sample of the users is recorded: all impressions of a user, or none.
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

ATTRIBUTION_WINDOW: Final = timedelta(days=1)
INTERVAL: Final = 1.0  # seconds between two writes
MAX_USERS: Final = 100  # whose impressions one write stores
MAX_PENDING_WATCHES: Final = 10_000  # that wait for attribution; then the oldest go
WRITE_DELAY: Final = timedelta(seconds=3)  # after which the impressions before a watch are written
MAX_CLOCK_SKEW: Final = timedelta(seconds=1)  # by which the clocks of two machines may differ
ALL_USERS: Final = 2**16  # the size of the sample that every user is in


class PendingWatch(NamedTuple):
    """A watch that waits for attribution."""

    user_id: UserId
    lesson_id: LessonId
    at: datetime
    learned_at: datetime


class Impression(NamedTuple):
    """Lessons that a user was recommended."""

    served_at: datetime
    lesson_ids: set[LessonId]


@dataclass(frozen=True, slots=True)
class Attribution:
    """How many watches of users with an impression there were, and how many came from one."""

    watches: int
    from_lists: int

    @property
    def share(self) -> float:
        """Return the part of the watches that came from an impression."""
        return round(self.from_lists / self.watches, 4) if self.watches else 0.0


class Impressions:
    """The latest impressions and watches of this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unsaved: dict[UserId, Impression] = {}
        self._watches: deque[PendingWatch] = deque(maxlen=MAX_PENDING_WATCHES)
        self._sample_size = ALL_USERS

    def add_impression(self, user_id: UserId, lesson_ids: Iterable[LessonId]) -> None:
        """Record that a user was recommended these lessons."""
        # Multiplied by an odd constant, ids that follow each other are spread.
        if user_id * 40_503 % ALL_USERS < self._sample_size:
            if user_id not in self._unsaved:
                self._unsaved[user_id] = Impression(utc_now(), set())
            self._unsaved[user_id].lesson_ids.update(lesson_ids)

    def add_watches(self, events: Iterable[Event]) -> None:
        """Record the learned watches."""
        now = utc_now()
        self._watches.extend(
            PendingWatch(event.user_id, event.lesson_id, event.occurred_at, now)
            for event in events
            if event.kind is Kind.CREATED
        )

    async def run(self) -> None:
        """Write impressions and attribute watches, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            with log_and_continue(DatabaseUnavailable, "impressions are not saved for now"):
                await self.save()
                await self.attribute(utc_now() - WRITE_DELAY)

    async def save(self) -> None:
        """Write the impressions, and adapt the sample to their number."""
        unsaved, self._unsaved = self._unsaved, {}
        if len(unsaved) > MAX_USERS:
            self._sample_size //= 2
        elif len(unsaved) < MAX_USERS // 4:
            self._sample_size = min(self._sample_size * 2 or 1, ALL_USERS)
        if not unsaved:
            return
        async with self._database.write() as connection:
            await lock_shared(connection)  # no user is erased meanwhile
            erased = await read_tombstones(self._database, connection, unsaved)
            rows = [
                {
                    "id": new_id(),
                    "user_id": user_id,
                    "served_at": impression.served_at,
                    "lesson_ids": sorted(impression.lesson_ids),
                }
                for user_id, impression in list(unsaved.items())[:MAX_USERS]
                if user_id not in erased or impression.served_at > erased[user_id]
            ]
            if rows:
                await connection.execute(insert(served_lists), rows)

    async def attribute(self, before: datetime) -> None:
        """Attribute the watches that were learned before then, and count them."""
        watches = []
        while self._watches and self._watches[0].learned_at <= before:
            watches.append(self._watches.popleft())
        if not watches:
            return
        impressions = await self._impressions_of({watch.user_id for watch in watches})
        came = [came_from(watch, impressions[watch.user_id]) for watch in watches]
        counted = [one for one in came if one is not None]
        if counted:
            counters = {
                attribution.c.watches: attribution.c.watches + len(counted),
                attribution.c.from_lists: attribution.c.from_lists + sum(counted),
            }
            async with self._database.write() as connection:
                await connection.execute(update(attribution).values(counters))

    async def _impressions_of(self, users: set[UserId]) -> defaultdict[UserId, list[Impression]]:
        lists = served_lists.c
        query = select(lists.user_id, lists.served_at, lists.lesson_ids).where(
            self._database.is_any_of(lists.user_id, users),
            lists.id >= first_id_at(utc_now() - ATTRIBUTION_WINDOW - WRITE_DELAY),
        )
        found: defaultdict[UserId, list[Impression]] = defaultdict(list)
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                found[row.user_id].append(Impression(row.served_at, set(row.lesson_ids)))
        return found


def came_from(watch: PendingWatch, impressions: Sequence[Impression]) -> bool | None:
    """Return whether a watch came from an impression; None without one in the window before it."""
    ages = [(watch.at - one.served_at, one.lesson_ids) for one in impressions]
    in_window = [lessons for age, lessons in ages if -MAX_CLOCK_SKEW <= age <= ATTRIBUTION_WINDOW]
    return any(watch.lesson_id in lessons for lessons in in_window) if in_window else None


async def read_attribution(database: Database) -> Attribution:
    """Return the counts so far."""
    columns = attribution.c.watches, attribution.c.from_lists
    async with database.read() as connection:
        return Attribution(*(await connection.execute(select(*columns))).one())
