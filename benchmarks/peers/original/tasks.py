"""Celery's application, and its task: publish one event, confirmed, to the exchange `watch`."""

import os
from typing import Any, Final

from celery import Celery, shared_task
from kombu import Connection, Exchange, Queue
from kombu.pools import producers

from benchmarks.peers.rows import CREATED, EXCHANGE, QUEUE, QUORUM

WATCH: Final = Exchange(EXCHANGE, type="topic", durable=True)
WATCHES: Final = Queue(QUEUE, WATCH, routing_key="*", durable=True, queue_arguments=QUORUM)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.original.settings")

app = Celery("original")
app.config_from_object("django.conf:settings", namespace="CELERY")

connection = Connection(os.environ["AMQP_URL"], transport_options={"confirm_publish": True})


@shared_task
def publish_watch(event: dict[str, Any]) -> None:
    """Publish; the task is acknowledged once the broker has the event."""
    with producers[connection].acquire(block=True) as producer:
        producer.publish(
            event,
            exchange=WATCH,
            routing_key=CREATED,
            serializer="json",
            delivery_mode="persistent",
            message_id=event["watch_id"],
            declare=[WATCHES],
        )
