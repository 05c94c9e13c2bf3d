"""Learning: what events amount to, in plain Python, whatever order they came in."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from recommendation_service.event import Event
from recommendation_service.model.fingerprint import fingerprint
from recommendation_service.model.history import WINDOW, Interaction, contributions, ordered
from shared.events import Kind
from tests.stateful.messages import Sent


@dataclass
class Knowledge:
    """The distinct events that were learned, how often one came again, and what is parked."""

    learned: dict[UUID, Event] = field(default_factory=dict)
    duplicates: int = 0
    parked: list[tuple[Sent, str]] = field(default_factory=list)  # with the reason
    erased: list[int] = field(default_factory=list)  # a user for each erasure
    void: int = 0  # events of erased users: each was learned, or came late, or never came

    @property
    def applied(self) -> range:
        """How many events may have been counted."""
        least = len(self.learned) + len(self.erased)
        return range(least, least + self.void + 1)

    def take(self, sent: Iterable[Sent], limit: int) -> None:
        """Learn or park each message."""
        for one in sent:
            reason = one.reason_at(limit)
            if reason:
                self.parked.append((one, reason))
            elif one.event:
                self.learn(one.event)

    def learn(self, event: Event) -> bool:
        """Learn an event; False when it is known."""
        known = event.event_id in self.learned
        self.duplicates += known
        self.learned.setdefault(event.event_id, event)
        return not known

    @property
    def through(self) -> datetime | None:
        """When the latest event was recorded."""
        return max((event.recorded_at for event in self.learned.values()), default=None)

    def histories(self) -> dict[int, list[Interaction]]:
        """What each user met first when, oldest first."""
        watches: dict[tuple[int, UUID], Event] = {}
        for event in sorted(self.learned.values(), key=_rank):
            watches[event.user_id, event.watch_id] = event
        first: defaultdict[int, dict[int, float]] = defaultdict(dict)
        for event in watches.values():
            if event.kind is not Kind.DELETED:
                at, met = event.occurred_at.timestamp(), first[event.user_id]
                met[event.lesson_id] = min(at, met.get(event.lesson_id, at))
        return {
            user: ordered(Interaction(*one) for one in met.items())  # type: ignore[arg-type]
            for user, met in first.items()
        }


class Lessons:
    """What the histories of all users say about lessons."""

    def __init__(self, histories: Iterable[list[Interaction]]) -> None:
        listed = [[meeting.lesson_id for meeting in history] for history in histories]
        self.met = Counter(lesson for history in listed for lesson in history)
        self.next: defaultdict[int, set[int]] = defaultdict(set)
        self.near: defaultdict[int, set[int]] = defaultdict(set)
        for history in listed:
            for place, lesson in enumerate(history):
                self.next[lesson] |= set(history[place + 1 : place + 2])
                after = history[place + 1 : place + 1 + WINDOW]
                self.near[lesson] |= set(after)
                for other in after:
                    self.near[other].add(lesson)

    @property
    def popular(self) -> list[tuple[int, int]]:
        """The lessons with how many users met them, most first, equal ones by lesson."""
        return sorted(self.met.items(), key=lambda one: (-one[1], one[0]))


def fingerprint_of(histories: Iterable[list[Interaction]]) -> str:
    """What `GET /stats` shows for these histories."""
    whole = fingerprint(one for history in histories for one in contributions(history))
    return f"{whole:032x}"


def _rank(event: Event) -> tuple[object, ...]:
    """Of the states of a watch the greatest holds; the others only decide between oddities."""
    place = event.reported_at, event.position
    return event.kind is Kind.DELETED, *place, event.lesson_id, event.occurred_at
