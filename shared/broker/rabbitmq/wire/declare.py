"""Declare a queue by a name that pamqp would refuse: its pattern does not know `*`.

It relies on pamqp 4.0: a frame is checked by its method `validate`. There is no fallback, as our
queues have such names. A pamqp that checks otherwise raises `ValueError` when a queue is declared.
"""

from pamqp.commands import Queue
from typing_extensions import override


class DeclareByAnyName(Queue.Declare):
    """Declares a queue of any name."""

    @override
    def validate(self) -> None:
        """Leave it to RabbitMQ."""
