"""Messages: what may come from the exchange, each with what it means or why it means nothing."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from hypothesis import strategies as st
from typing_extensions import override

from recommendation_service.event import Event
from shared.broker.interface import Message
from shared.events import Kind
from tests.support.examples import NOON, an_event

NARROW: Final = 600  # bytes; less than a message with notes has
WIDE: Final = 65_536

MINUTES: Final = (0, 1, 30, 90, 3000)
SPELLINGS: Final = ("plain", "capitals", "words")


@dataclass(frozen=True, repr=False)
class Sent:
    """A message; and the event that it is, or the reason why it is none."""

    message: Message
    event: Event | None = None
    reason: str = ""

    @override
    def __repr__(self) -> str:
        """What a failing example shows."""
        said = self.message.body.decode(errors="replace").partition(', "notes"')
        return f"<{self.message.routing_key} {said[0]}{said[1] and ' and notes'}>"

    def reason_at(self, limit: int) -> str:
        """Why it is parked where messages may have so many bytes; nothing when it is learned."""
        return "oversized" if len(self.message.body) > limit else self.reason


@st.composite
def events(draw: st.DrawFn) -> Sent:
    """Few users, lessons, watches and times: they meet. The same content has the same id."""
    kind = draw(st.sampled_from([Kind.CREATED, Kind.CREATED, Kind.UPDATED, Kind.DELETED]))
    began = draw(st.sampled_from(MINUTES))
    event = an_event(
        draw(st.integers(1, 3)),
        draw(st.integers(1, 8)),
        kind=kind,
        watch_id=UUID(int=draw(st.integers(1, 6))),
        event_id=UUID(int=0),
        position=draw(st.integers(0, 2)),
        minutes=began,
        reported=began + draw(st.integers(0, 2)),
    )
    return sent(event, draw(st.sampled_from(SPELLINGS)), notes=draw(st.integers(0, 5)) == 0)


@st.composite
def binges(draw: st.DrawFn) -> list[Sent]:
    """One user meets many lessons, in any order."""
    user, first = draw(st.integers(1, 3)), draw(st.integers(1, 30))
    lessons = range(first, first + draw(st.integers(8, 20)))
    began = draw(st.integers(0, 100))
    met = [
        an_event(user, lesson, minutes=began + 13 * place, event_id=UUID(int=0))
        for place, lesson in enumerate(draw(st.permutations(lessons)))
    ]
    return [sent(named_after_itself(event), "plain") for event in met]


def named_after_itself(event: Event) -> Event:
    """The event with a watch of its own."""
    return event._replace(watch_id=uuid5(NAMESPACE_OID, repr(event)))


def sent(event: Event, spelling: str, *, notes: bool = False) -> Sent:
    """The message about an event, under an id that its content makes, spelled one way or other."""
    body = json.dumps(_body(event) | ({"notes": "x" * NARROW} if notes else {})).encode()
    id_ = uuid5(NAMESPACE_OID, repr((event, notes)))
    text = {"plain": str(id_), "capitals": id_.hex.upper(), "words": f"event {id_}"}[spelling]
    event_id = uuid5(NAMESPACE_OID, text) if spelling == "words" else id_
    message = Message(text, event.kind.value, body, headers={"x-schema-version": 1})
    return Sent(message, event._replace(event_id=event_id))


def _body(event: Event) -> dict[str, Any]:
    body: dict[str, Any] = {
        "user_id": event.user_id,
        "lesson_id": event.lesson_id,
        "position": event.position,
        "watch_id": str(event.watch_id),
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
    }
    reported = {"reported_at": event.reported_at.isoformat()}
    return body if event.reported_at == event.occurred_at else body | reported


GOOD: Final = _body(an_event(9, 9, event_id=UUID(int=9)))
FUTURE: Final = {"occurred_at": (NOON + timedelta(days=365_000)).isoformat()}


def bad(reason: str, body: object, key: str = "created", version: int = 1) -> Sent:
    """A message that can never be learned."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    id_ = str(uuid5(NAMESPACE_OID, repr((content, key, version))))
    return Sent(Message(id_, key, content, headers={"x-schema-version": version}), reason=reason)


POISON: Final = (
    bad("unreadable", b"{"),
    bad("unreadable", b"\xff\x00"),
    bad("unreadable", {**GOOD, "user_id": "\x00"}),
    bad("unreadable", {**GOOD, "lesson_id": 2**63}),
    bad("unreadable", {**GOOD, **FUTURE}),
    bad("unreadable", {**GOOD, "watch_id": None}, key="deleted"),
    bad("unknown version", GOOD, version=2),
    bad("unknown kind", GOOD, key="paused"),
    bad("oversized", {**GOOD, "notes": "x" * WIDE}),
)


def arriving() -> st.SearchStrategy[list[Sent]]:
    """Some messages; among them the same twice, and some that mean nothing."""
    some = st.lists(st.one_of(events(), events(), st.sampled_from(POISON)), min_size=1, max_size=8)
    return st.one_of(some, some, binges())
