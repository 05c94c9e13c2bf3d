"""Progress: how far a user came, from plain watches without segments."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.stateful.watches import Watch, instant


def progress_of(user_id: int, watches: Iterable[Watch]) -> list[dict[str, Any]]:
    """What a user's progress shows, the lesson watched last first."""
    by_lesson: defaultdict[int, list[Watch]] = defaultdict(list)
    for watch in watches:
        if watch["user_id"] == user_id:
            by_lesson[watch["lesson_id"]].append(watch)
    shown = [_progress(lesson_id, some) for lesson_id, some in by_lesson.items()]
    return sorted(
        shown, key=lambda one: (instant(one["last_watched_at"]), one["lesson_id"]), reverse=True
    )


def _progress(lesson_id: int, watches: list[Watch]) -> dict[str, Any]:
    *_, latest = ordered = sorted(
        watches, key=lambda one: (instant(one["reported_at"]), one["position"], one["id"])
    )
    durations = [one["duration"] for one in ordered if one["duration"]]
    furthest = max(one["furthest"] for one in watches)
    finished = durations and furthest >= 0.9 * min(durations)
    return {
        "lesson_id": lesson_id,
        "state": "finished" if finished else "started",
        "position": latest["position"],
        "furthest_position": furthest,
        "duration": durations[-1] if durations else None,
        "percent": min(furthest * 1000 // durations[-1], 1000) / 10 if durations else None,
        "watched_seconds": None,
        "plays": len(watches),
        "last_watched_at": latest["reported_at"],
    }
