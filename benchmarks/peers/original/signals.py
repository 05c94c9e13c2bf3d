"""The signal: each saved watch becomes a task, as soon as it is committed."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from benchmarks.peers.original.models import Watch
from benchmarks.peers.original.tasks import publish_watch


@receiver(post_save, sender=Watch)
def announce(instance: Watch, *, created: bool, **_: Any) -> None:
    """Hand the watch over to Celery."""
    if created:
        publish_watch.delay_on_commit(
            {
                "watch_id": str(instance.id),
                "user_id": instance.user_id,
                "lesson_id": instance.lesson_id,
                "position": instance.position,
                "furthest": instance.furthest,
                "occurred_at": instance.occurred_at.isoformat(),
                "reported_at": instance.reported_at.isoformat(),
                "recorded_at": instance.recorded_at.isoformat(),
            }
        )
