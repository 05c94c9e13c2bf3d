"""What each command of a group does, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import from_json

from consumption_service.event import Watch
from consumption_service.record.commands import (
    Command,
    CommandResult,
    Create,
    Delete,
    Report,
    Success,
)
from consumption_service.record.decide import Claim, Group
from shared.errors import Conflict, NotFound
from shared.events import Kind
from shared.ids import LessonId, UserId
from shared.uuid7 import new_id

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WATCH_ID, OTHER_ID = new_id(), new_id()
CREATE = Create(UserId(42), LessonId(100), 300, 600, key="a key")
STORED = Watch(
    WATCH_ID, UserId(42), LessonId(100), 300, 600, NOON, NOON, NOON, furthest=300, segments=None
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_group(**changes: Any) -> Group:
    """A group that began a minute after its watch was stored."""
    return Group(at(60), watches={WATCH_ID: STORED._replace(**changes)})


def watch_after(group: Group, *commands: Command) -> Watch:
    for command in commands:
        successful(group.decide(command, new_id()))
    watch = group.watches[WATCH_ID]
    assert watch
    return watch


def successful(result: CommandResult) -> Success:
    assert isinstance(result, Success)
    return result


def told(group: Group) -> list[tuple[str, dict[str, Any]]]:
    return [(event.kind.value, from_json(event.body)) for event in group.events]


def test_a_new_watch_is_what_the_command_says() -> None:
    group = Group(NOON)

    result = group.decide(replace(CREATE, segments=[[5, 9], [0, 5]]), WATCH_ID)

    watch = STORED._replace(segments=[[0, 9]])
    assert result == Success(watch, changed=True)
    assert (group.watches, group.created, group.touched) == ({WATCH_ID: watch}, [WATCH_ID], set())
    assert [event.event_id for event in group.events] == [WATCH_ID]
    assert [(kind, body["watch_id"]) for kind, body in told(group)] == [("created", str(WATCH_ID))]


def test_a_new_watch_may_have_occurred_before() -> None:
    watch = successful(Group(NOON).decide(replace(CREATE, occurred_at=at(-5)), WATCH_ID)).watch

    assert (watch.occurred_at, watch.reported_at, watch.recorded_at) == (at(-5), at(-5), NOON)


def test_the_same_command_under_a_key_returns_the_watch_of_the_first() -> None:
    group = a_group()
    group.claims["a key"] = Claim(WATCH_ID, CREATE.digest())

    assert group.decide(CREATE, OTHER_ID) == Success(STORED, changed=False)
    assert group.events == []


def test_a_key_serves_its_first_command_in_the_group_and_then_repeats() -> None:
    group = Group(NOON, claims={"a key": Claim(WATCH_ID, CREATE.digest())})

    first, second = group.decide(CREATE, WATCH_ID), group.decide(CREATE, OTHER_ID)

    assert (first, second) == (Success(STORED, changed=True), Success(STORED, changed=False))
    assert len(group.events) == 1


@pytest.mark.parametrize(
    "changes",
    [{"position": 301}, {"duration": None}, {"occurred_at": NOON}, {"segments": []}],
)
def test_other_content_under_a_key_is_a_conflict(changes: dict[str, Any]) -> None:
    group = a_group()
    group.claims["a key"] = Claim(WATCH_ID, CREATE.digest())

    assert isinstance(group.decide(replace(CREATE, **changes), OTHER_ID), Conflict)
    assert group.events == []


def test_a_key_of_a_deleted_watch_is_a_conflict() -> None:
    group = Group(NOON, claims={"a key": Claim(WATCH_ID, CREATE.digest())})

    assert isinstance(group.decide(CREATE, OTHER_ID), Conflict)


def test_a_deleted_watch_is_gone_for_the_rest_of_the_group() -> None:
    group = a_group()

    assert group.decide(Delete(WATCH_ID), OTHER_ID) == Success(STORED, changed=True)
    assert isinstance(group.decide(Report(WATCH_ID, 301), OTHER_ID), NotFound)
    assert isinstance(group.decide(Delete(WATCH_ID), OTHER_ID), NotFound)

    assert (group.watches, group.touched) == ({WATCH_ID: None}, {WATCH_ID})
    ((kind, body),) = told(group)
    assert (kind, body["watch_id"], body["position"]) == ("deleted", str(WATCH_ID), 300)
    assert datetime.fromisoformat(body["recorded_at"]) == at(60)


@pytest.mark.parametrize("command", [Report(WATCH_ID, 301, owner_id=7), Delete(WATCH_ID, 7)])
def test_for_other_users_than_its_owner_there_is_no_watch(command: Command) -> None:
    group = a_group()

    assert isinstance(group.decide(command, OTHER_ID), NotFound)
    assert (group.watches, group.events) == ({WATCH_ID: STORED}, [])


@pytest.mark.parametrize("command", [Report(OTHER_ID, 301), Delete(OTHER_ID)])
def test_an_unknown_watch_is_not_found(command: Command) -> None:
    assert isinstance(a_group().decide(command, new_id()), NotFound)


@pytest.mark.parametrize("command", [Report(WATCH_ID, 301, owner_id=42), Delete(WATCH_ID, 42)])
def test_the_owner_may_report_and_delete(command: Command) -> None:
    assert successful(a_group().decide(command, OTHER_ID)).changed


def test_each_event_has_a_time_of_its_own() -> None:
    group = a_group()
    create = replace(CREATE, key=None)
    commands: list[Command] = [create, Report(WATCH_ID, 301), Report(OTHER_ID, 1), Delete(WATCH_ID)]

    for command in commands:
        group.decide(command, new_id())

    times = [datetime.fromisoformat(body["recorded_at"]) for _, body in told(group)]
    assert [event.kind for event in group.events] == [Kind.CREATED, Kind.UPDATED, Kind.DELETED]
    assert times == [at(60) + timedelta(microseconds=n) for n in range(3)]


def test_an_event_carries_the_trace_and_the_user_of_its_command() -> None:
    group = a_group()
    group.decide(Report(WATCH_ID, 301, traceparent="a trace"), OTHER_ID)

    assert [(event.traceparent, event.user_id) for event in group.events] == [("a trace", 42)]
