"""What the consumption service announces, read by the contract."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from consumption_service.event import Watch, event_of
from shared.events import Kind, WatchEvent
from shared.ids import MAX_INTEGER

integers = st.integers(0, MAX_INTEGER)
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
watches = st.builds(
    Watch,
    id=st.uuids(),
    user_id=integers,
    lesson_id=integers,
    position=integers,
    duration=st.none() | integers,
    occurred_at=times,
    reported_at=times,
    recorded_at=times,
    furthest=integers,
)


@given(watches, st.uuids(), st.sampled_from(Kind))
def test_an_event_says_what_the_watch_is(watch: Watch, event_id: UUID, kind: Kind) -> None:
    event = event_of(event_id, kind, watch)

    said = WatchEvent.model_validate_json(event.body).model_dump()
    assert said.pop("watch_id") == watch.id
    assert said == {name: getattr(watch, name) for name in said}
    assert "null" not in event.body
