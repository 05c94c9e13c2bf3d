"""Announced: what the events say, compared with what is known to have changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.stateful.watches import Change, State, instant

Event = Mapping[str, Any]  # the body of a message, with the id and the kind of the event


def missing(events: Sequence[Event], state: State) -> int:
    """How many changes no event has told of yet."""
    return (Counter(map(_changed, state.changes)) - Counter(map(_told, events))).total()


def check_events(events: Sequence[Event], state: State) -> None:
    """Each change has one event, with the right content; together they make the last state."""
    told, changed = Counter(map(_told, events)), Counter(map(_changed, state.changes))
    assert told >= changed
    assert told - changed <= Counter(map(_changed, state.gone))
    for event in events:
        if event["kind"] == "created":
            assert event["event_id"] == event["watch_id"]
    _check_deletions(events, [*state.gone, *state.changes])
    _check_last_states(events, state)


def _told(event: Event) -> frozenset[tuple[str, Any]]:
    left_out = {"event_id"} | ({"recorded_at"} if event["kind"] == "deleted" else set())
    return frozenset((name, value) for name, value in event.items() if name not in left_out)


def _changed(change: Change) -> frozenset[tuple[str, Any]]:
    watch = {name: value for name, value in change.watch.items() if value is not None}
    if change.kind == "erased":
        return _told({"kind": change.kind, **watch})
    return _told({"kind": change.kind, "watch_id": watch.pop("id"), **watch})


def _check_deletions(events: Sequence[Event], changes: Sequence[Change]) -> None:
    deletions = {one.watch["id"]: one.exchange for one in changes if one.kind == "deleted"}
    for event in events:
        if event["kind"] == "deleted":
            assert deletions[event["watch_id"]].spans(event["recorded_at"])


def _check_last_states(events: Sequence[Event], state: State) -> None:
    """Of the events of a watch the greatest tells how it is now, in whatever order they came.

    Unless the user was erased since.
    """
    erased = {(one["user_id"], instant(one["erased_at"])) for one in events if _is_erasure(one)}
    last: dict[str, Event] = {}
    of_watches = [one for one in events if not _is_erasure(one)]
    for event in sorted(of_watches, key=_rank):
        if any(event["user_id"] == who and _recorded(event) <= at for who, at in erased):
            continue
        last[event["watch_id"]] = event
    left = {id_: event for id_, event in last.items() if event["kind"] != "deleted"}
    assert left.keys() == state.watches.keys()
    for id_, event in left.items():
        watch = {name: value for name, value in state.watches[id_].items() if value is not None}
        assert event.items() >= watch.items() - {("id", id_)}


def _is_erasure(event: Event) -> bool:
    return bool(event["kind"] == "erased")


def _recorded(event: Event) -> datetime:
    return instant(event["recorded_at"])


def _rank(event: Event) -> tuple[object, ...]:
    place = instant(event["reported_at"]), event["position"], event["furthest"]
    return event["kind"] == "deleted", *place
