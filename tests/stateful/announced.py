"""Announced: what the events say, compared with what is known to have changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.stateful.watches import Change, State, instant

Event = Mapping[str, Any]  # the body of a message, with the id and the kind of the event


def missing(events: Sequence[Event], state: State) -> int:
    """How many changes no event has told of yet."""
    return len(state.changes) - len(events)


def check_events(events: Sequence[Event], state: State) -> None:
    """Each change has one event, with the right content; together they make the last state."""
    assert Counter(map(_told, events)) == Counter(map(_changed, state.changes))
    for event in events:
        if event["kind"] == "created":
            assert event["event_id"] == event["watch_id"]
    _check_deletions(events, state.changes)
    _check_last_states(events, state)


def _told(event: Event) -> frozenset[tuple[str, Any]]:
    left_out = {"event_id"} | ({"recorded_at"} if event["kind"] == "deleted" else set())
    return frozenset((name, value) for name, value in event.items() if name not in left_out)


def _changed(change: Change) -> frozenset[tuple[str, Any]]:
    watch = {name: value for name, value in change.watch.items() if value is not None}
    return _told({"kind": change.kind, "watch_id": watch.pop("id"), **watch})


def _check_deletions(events: Sequence[Event], changes: Sequence[Change]) -> None:
    deletions = {one.watch["id"]: one.exchange for one in changes if one.kind == "deleted"}
    for event in events:
        if event["kind"] == "deleted":
            assert deletions[event["watch_id"]].spans(event["recorded_at"])


def _check_last_states(events: Sequence[Event], state: State) -> None:
    """Of the events of a watch the greatest tells how it is now, in whatever order they came."""
    last: dict[str, Event] = {}
    for event in sorted(events, key=_rank):
        last[event["watch_id"]] = event
    left = {id_: event for id_, event in last.items() if event["kind"] != "deleted"}
    assert left.keys() == state.watches.keys()
    for id_, event in left.items():
        watch = {name: value for name, value in state.watches[id_].items() if value is not None}
        assert event.items() >= watch.items() - {("id", id_)}


def _rank(event: Event) -> tuple[object, ...]:
    place = instant(event["reported_at"]), event["position"], event["furthest"]
    return event["kind"] == "deleted", *place
