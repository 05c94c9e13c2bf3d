"""Kombu as a consumer: one transaction for each message, acknowledged after it."""

import os

from kombu import Connection, Consumer, Message, Queue
from kombu.mixins import ConsumerMixin
from sqlalchemy import create_engine

from benchmarks.peers.learning import learning
from benchmarks.peers.rows import PREFETCH, QUEUE
from shared.events import WatchEvent

URL = os.environ["RECOMMENDATION_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")


class Learner(ConsumerMixin):
    """Learns the watches of a queue."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._database = create_engine(URL).connect()

    def get_consumers(self, consumer: type[Consumer], channel: object) -> list[Consumer]:  # noqa: ARG002
        """Consume one queue, which is there already."""
        queue = Queue(QUEUE, no_declare=True)
        return [consumer([queue], on_message=self._learn, prefetch_count=PREFETCH)]

    def _learn(self, message: Message) -> None:
        with self._database.begin():
            self._database.execute(learning(WatchEvent.model_validate_json(message.body)))
        message.ack()


if __name__ == "__main__":
    with Connection(os.environ["AMQP_URL"]) as connection:
        Learner(connection).run()
