"""The watch as a model, with the columns and the indexes of the product."""

from typing import Any

import django.db.models as m
from django.utils.timezone import now

from shared.uuid7 import new_id


class Watch(m.Model):
    """A watch; saving it sends a signal."""

    id = m.UUIDField(primary_key=True, default=new_id, editable=False)
    user_id = m.BigIntegerField()
    lesson_id = m.BigIntegerField()
    position = m.BigIntegerField()
    duration = m.BigIntegerField(null=True)
    occurred_at = m.DateTimeField(default=now)
    reported_at = m.DateTimeField(default=now, editable=False)
    recorded_at = m.DateTimeField(default=now, editable=False)
    furthest = m.BigIntegerField(null=True, editable=False)
    segments = m.JSONField(null=True)
    unsegmented = m.BigIntegerField(null=True, editable=False)

    def save(self, *args: Any, **options: Any) -> None:
        """Note how far the watch came."""
        self.furthest = max(self.furthest or 0, self.position)
        super().save(*args, **options)

    class Meta:
        """Where it is stored."""

        app_label = "original"
        db_table = "watches"
        indexes = (
            m.Index(fields=["user_id", "id"], name="ix_watches_user_id_id"),
            m.Index(fields=["lesson_id", "id"], name="ix_watches_lesson_id_id"),
        )
