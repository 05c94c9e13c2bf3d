"""Recording: a consumption service, spoken to over HTTP, and what it has to say next."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st
from sqlalchemy import func, select

from consumption_service.tables import outbox
from shared.clock import utc_now
from shared.database.database import Database
from tests.stateful.machine import Service
from tests.stateful.progress import progress_of
from tests.stateful.watches import Command, Erase, Exchange, Patch, Post, Remove, State, Watch

PAST: Final = (
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:01Z",
    "2026-01-01T02:00:01+02:00",  # the same
    "2026-01-01T00:00:01.500001Z",
    "2026-01-01T00:30:00Z",
    "2026-01-01T03:00:00Z",
)
FAR_AHEAD: Final = "2050-01-01T00:00:00Z"

Asked = tuple[Post | tuple[int, int, str | None] | int, ...]  # what becomes commands


def times(*others: str) -> st.SearchStrategy[str | None]:
    """Few times, so that they repeat; None is now."""
    return st.sampled_from([*PAST, *others, None])


def posts(at: st.SearchStrategy[str | None]) -> st.SearchStrategy[Post]:
    """Watches of few users and lessons; few keys, so that they repeat."""
    small = st.integers(0, 2)
    key = st.sampled_from([None, None, "a", "b", "c"])
    return st.builds(Post, small, st.integers(0, 4), small, st.sampled_from([None, 600]), at, key)


def asked(at: st.SearchStrategy[str | None]) -> st.SearchStrategy[Asked]:
    """Several requests: watches, reports (which watch, where, when) and deletions (which)."""
    number = st.integers(0, 5)
    report = st.tuples(number, st.integers(0, 4), at)
    return st.lists(st.one_of(posts(at), report, report, number), min_size=1, max_size=4).map(tuple)


class Recorder:
    """Asks the service, and keeps what has to be true."""

    def __init__(self, service: Service, database: Database) -> None:
        self._service = service
        self._database = database
        self.state = State()

    def commands(self, asked: Asked) -> list[Command]:
        """Name the watches that are meant."""
        return [one for ask in asked if (one := self._command(ask))]

    def _command(self, ask: Post | tuple[int, int, str | None] | int) -> Command | None:
        if isinstance(ask, Post):
            return ask
        number: int
        report: list[Any]
        number, *report = (ask,) if isinstance(ask, int) else ask
        ids = self.state.created
        meant = ids[-1 - number % len(ids)] if ids else ""
        found = Patch(meant, *report) if report else Remove(meant)
        return found if meant else None

    def earlier(self, number: int) -> list[Command]:
        """Something that was asked before, with success; nothing when there is nothing."""
        changes = self.state.changes
        return [changes[-1 - number % len(changes)].exchange.command] if changes else []

    async def send(self, command: Command) -> Exchange:
        """Send one command."""
        client, sent = self._service.client, utc_now()
        if isinstance(command, Post):
            headers = {"Idempotency-Key": command.key} if command.key else {}
            answer = await client.post("/watches", json=command.body, headers=headers)
        elif isinstance(command, Erase):
            answer = await client.delete(f"/users/{command.user_id}")
        elif isinstance(command, Patch):
            answer = await client.patch(f"/watches/{command.watch_id}", json=command.body)
        else:
            answer = await client.delete(f"/watches/{command.watch_id}")
        body = answer.json() if answer.content else None
        return Exchange(command, answer.status_code, body, sent, utc_now())

    async def send_at_once(self, commands: Sequence[Command]) -> None:
        """Send the commands together: what comes of it must be what some order would make."""
        exchanges = await asyncio.gather(*map(self.send, commands))
        listed = await self.listed(limit=1000)
        possible = list(self.state.in_some_order(exchanges))
        assert possible, f"no order explains {exchanges}"
        agreeing = [one for one in possible if one.newest_first(None, None) == listed]
        assert agreeing, f"no order of {exchanges} ends in {listed}"
        self.state = agreeing[0]

    async def listed(self, limit: int, **chosen: int | None) -> list[Watch]:
        """Walk through all pages of a list."""
        query: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
        watches: list[Watch] = []
        while True:
            answer = await self._service.client.get("/watches", params={"limit": limit, **query})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["items"]) == limit or page["next_cursor"] is None
            watches += page["items"]
            if page["next_cursor"] is None:
                return watches
            query["cursor"] = page["next_cursor"]

    async def check_list(self, limit: int, user_id: int | None, lesson_id: int | None) -> None:
        """Compare a list with what is known."""
        shown = await self.listed(limit, user_id=user_id, lesson_id=lesson_id)
        assert shown == self.state.newest_first(user_id, lesson_id)

    async def check_each(self) -> None:
        """Look at each watch that there is or was."""
        for id_ in self.state.created:
            answer = await self._service.client.get(f"/watches/{id_}")
            watch = self.state.watches.get(id_)
            assert answer.status_code == (200 if watch else 404)
            assert watch is None or answer.json() == watch

    async def check_progress(self, user_id: int) -> None:
        """Compare the progress of a user with what follows from the watches."""
        answer = await self._service.client.get(f"/users/{user_id}/progress")
        assert answer.json()["items"] == progress_of(user_id, self.state.watches.values())

    async def waiting(self) -> int:
        """How many events the outbox holds."""
        async with self._database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(outbox)) or 0

    async def send_until_killed(self, posts: Sequence[Post], turns: int) -> None:
        """Kill the service in the midst of it, and send all again: each is recorded once."""
        first = len(self.state.created)
        fresh = [post._replace(key=f"{first}-{n}") for n, post in enumerate(posts)]
        sent = utc_now()
        sending = [asyncio.create_task(self.send(post)) for post in fresh]
        for _ in range(turns):
            await asyncio.sleep(0)
        await self._service.kill()
        answered = {one.result().command: one.result() for one in sending if one.done()}
        for one in sending:
            one.cancel()
        await asyncio.wait(sending)
        await self._service.start()
        for post in fresh:
            again = await self.send(post)
            self._recorded_once(answered.get(post), again._replace(sent=sent))

    def _recorded_once(self, first: Exchange | None, again: Exchange) -> None:
        if first:
            assert (first.status, again.status) == (201, 200)
            assert first.body == again.body
        assert again.status in (200, 201)
        after = self.state.after(again._replace(status=201))
        assert after, f"not what was asked for: {again}"
        self.state = after
