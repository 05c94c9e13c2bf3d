"""Read: what a message leaves out is filled in."""

import json

import pytest

from recommendation_service.consume.parse import parse_event
from shared.broker.interface import Delivery


def delivered(**more: int) -> Delivery:
    body = json.dumps({"user_id": 1, "lesson_id": 2, "position": 340, **more}).encode()
    return Delivery(1, "an event", "created", body, None, None, {}, False, 0)  # noqa: FBT003


@pytest.mark.parametrize(
    ("said", "furthest"), [({}, 340), ({"furthest": 20}, 340), ({"furthest": 400}, 400)]
)
def test_a_watch_came_as_far_as_its_position_at_least(said: dict[str, int], furthest: int) -> None:
    assert parse_event(delivered(**said), 10_000).furthest == furthest
