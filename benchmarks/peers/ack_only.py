"""A consumer that only acknowledges: what receiving with aio-pika costs by itself."""

import os
from asyncio import Future

import uvloop
from aio_pika import connect
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.peers.rows import PREFETCH, QUEUE


async def main() -> None:
    """Acknowledge until the process ends."""
    connection = await connect(os.environ["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(QUEUE)
        await queue.consume(_acknowledge)
        await Future()


async def _acknowledge(message: AbstractIncomingMessage) -> None:
    await message.ack()


if __name__ == "__main__":
    uvloop.run(main())
