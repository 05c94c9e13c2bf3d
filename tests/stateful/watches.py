"""Watches: what the consumption service promises, as plain dictionaries.

The service chooses ids and times, so the model is told each answer, and says whether that is one
which it could have given at this point, and what is true after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

Watch = Mapping[str, Any]  # as the service answers it
BEHIND = timedelta(milliseconds=50)  # that a time may be, for which nobody looked at the clock


class Post(NamedTuple):
    """Record a watch."""

    user_id: int
    lesson_id: int
    position: int
    duration: int | None = None
    at: str | None = None
    key: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        said = {"duration": self.duration, "occurred_at": self.at}
        required = {
            "user_id": self.user_id,
            "lesson_id": self.lesson_id,
            "position": self.position,
        }
        return required | {name: value for name, value in said.items() if value is not None}

    @property
    def content(self) -> tuple[object, ...]:
        """What has to be the same when the key is."""
        return (*self[:4], instant(self.at) if self.at else None)


class Patch(NamedTuple):
    """Report a position."""

    watch_id: str
    position: int
    at: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        time = {"occurred_at": self.at} if self.at else {}
        return {"position": self.position} | time


class Remove(NamedTuple):
    """Delete a watch."""

    watch_id: str


class Erase(NamedTuple):
    """Erase a user."""

    user_id: int


Command = Post | Patch | Remove | Erase


class Exchange(NamedTuple):
    """A command, its answer, and when it was under way."""

    command: Command
    status: int
    body: Any
    sent: datetime
    answered: datetime

    def spans(self, time: str) -> bool:
        """Whether this can be the time at which the service took the command."""
        return self.sent - BEHIND <= instant(time) <= self.answered


class Change(NamedTuple):
    """An event that has to come. Only of a deletion it is not known when it was recorded."""

    kind: str
    watch: Watch  # or the receipt of an erasure
    exchange: Exchange


@dataclass(frozen=True)
class State:
    """All watches, what each key stands for, and all that ever changed."""

    watches: Mapping[str, Watch] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, tuple[object, ...]]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    gone: tuple[Change, ...] = ()  # of users that were erased since: their events may come, or not

    @property
    def created(self) -> list[str]:
        """The ids of all watches that there ever were, oldest first."""
        every = [*self.gone, *self.changes]
        return sorted(change.watch["id"] for change in every if change.kind == "created")

    def after(self, one: Exchange) -> "State | None":
        """The state after the command, if its answer is right."""
        if isinstance(one.command, Post):
            return self._posted(one, one.command)
        if isinstance(one.command, Erase):
            return self._erased(one, one.command.user_id)
        return self._about_one(one, one.command)

    def _about_one(self, one: Exchange, command: Patch | Remove) -> "State | None":
        watch = self.watches.get(command.watch_id)
        if watch is None or one.status == 404:
            return self if watch is None and one.status == 404 else None
        patch = command if isinstance(command, Patch) else None
        return self._patched(one, patch, watch) if patch else self._deleted(one, watch)

    def _posted(self, one: Exchange, post: Post) -> "State | None":
        if post.key is None or post.key not in self.keys:
            return self._created(one, post)
        watch_id, content = self.keys[post.key]
        watch = self.watches.get(watch_id)
        conflict = content != post.content or watch is None
        expected = (409, None) if conflict else (200, watch)
        return self if (one.status, None if conflict else one.body) == expected else None

    def _created(self, one: Exchange, post: Post) -> "State | None":
        watch = one.body
        if one.status != 201 or watch["id"] in self.created:
            return None
        at = post.at or watch["recorded_at"]
        right = (
            watch.items() >= post.body.items() - {("occurred_at", post.at)}
            and watch["duration"] == post.duration
            and watch["furthest"] == post.position
            and instant(watch["occurred_at"]) == instant(watch["reported_at"]) == instant(at)
            and one.spans(watch["recorded_at"])
        )
        keys = {post.key: (watch["id"], post.content)} if post.key else {}
        after = replace(self, keys={**self.keys, **keys})
        return after._changed("created", watch, one) if right else None  # noqa: SLF001

    def _patched(self, one: Exchange, patch: Patch, watch: Watch) -> "State | None":
        if one.status != 200:
            return None
        answer = dict(one.body)
        applied = answer.pop("outcome") == "applied"
        place = {"position": patch.position} if applied else {}
        furthest = max(watch["furthest"], patch.position)
        if not applied and furthest == watch["furthest"]:
            return self if answer == watch and self._is_stale(one, patch, watch) else None
        chosen = ("reported_at", "recorded_at") if applied else ("recorded_at",)
        expected = {
            **watch,
            **place,
            "furthest": furthest,
            **{name: answer[name] for name in chosen},
        }
        right = (
            answer == expected
            and one.spans(answer["recorded_at"])
            and (
                self._moves(answer, patch, watch) if applied else self._is_stale(one, patch, watch)
            )
        )
        return self._changed("updated", answer, one) if right else None

    def _moves(self, answer: Watch, patch: Patch, watch: Watch) -> bool:
        at = instant(patch.at or answer["recorded_at"])
        is_later = (at, patch.position) > (instant(watch["reported_at"]), watch["position"])
        return is_later and instant(answer["reported_at"]) == at

    def _is_stale(self, one: Exchange, patch: Patch, watch: Watch) -> bool:
        earliest = instant(patch.at) if patch.at else one.sent - BEHIND
        return (earliest, patch.position) <= (instant(watch["reported_at"]), watch["position"])

    def _deleted(self, one: Exchange, watch: Watch) -> "State | None":
        return self._changed("deleted", watch, one) if one.status == 204 else None

    def _erased(self, one: Exchange, user_id: int) -> "State | None":
        """Nothing of the user is left, and all there was is older than the tombstone."""
        at = one.body["requested_at"]
        own = [watch for watch in self.watches.values() if watch["user_id"] == user_id]
        if one.status != 202 or any(instant(at) <= instant(it["recorded_at"]) for it in own):
            return None
        gone: list[Change] = []
        kept: list[Change] = []
        for change in self.changes:
            is_of_user = change.kind != "erased" and change.watch["user_id"] == user_id
            (gone if is_of_user else kept).append(change)
        told = {"user_id": user_id, "erasure_id": one.body["id"], "erased_at": at}
        return State(
            {id_: watch for id_, watch in self.watches.items() if watch["user_id"] != user_id},
            {key: known for key, known in self.keys.items() if known[1][0] != user_id},
            (*kept, Change("erased", told, one)),
            (*self.gone, *gone),
        )

    def _changed(self, kind: str, watch: Watch, one: Exchange) -> "State":
        others = {id_: other for id_, other in self.watches.items() if id_ != watch["id"]}
        left = others if kind == "deleted" else {**others, watch["id"]: watch}
        return replace(self, watches=left, changes=(*self.changes, Change(kind, watch, one)))

    def in_some_order(self, exchanges: Sequence[Exchange]) -> "Iterator[State]":
        """The states after each order in which the answers would all be right."""
        if not exchanges:
            yield self
        for place, one in enumerate(exchanges):
            after = self.after(one)
            if after is not None:
                yield from after.in_some_order([*exchanges[:place], *exchanges[place + 1 :]])

    def newest_first(self, user_id: int | None, lesson_id: int | None) -> list[Watch]:
        """What a list shows."""
        return [
            watch
            for _, watch in sorted(self.watches.items(), reverse=True)
            if user_id in (None, watch["user_id"]) and lesson_id in (None, watch["lesson_id"])
        ]


def instant(time: str) -> datetime:
    return datetime.fromisoformat(time)
