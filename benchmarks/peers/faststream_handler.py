"""FastStream in FastAPI: the same row as the usual handler's, published by FastStream's broker."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitExchange, RabbitQueue
from faststream.rabbit.fastapi import RabbitRouter
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers.rows import CREATED, EXCHANGE, QUEUE, event_of, opened_tables, row_of
from benchmarks.peers.serving import serve
from benchmarks.peers.usual_handler import session_of
from consumption_service.api.schemas import NewWatch, WatchAnswer

WATCH = RabbitExchange(EXCHANGE, type=ExchangeType.TOPIC, durable=True)
WATCHES = RabbitQueue(QUEUE, queue_type=QueueType.QUORUM, durable=True, routing_key="*")

router = RabbitRouter(
    os.environ["AMQP_URL"],
    default_channel=Channel(publisher_confirms=True),
    logger=None,
    schema_url=None,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database, and declare where events go; the router opens the broker by itself."""
    async with opened_tables() as sessions:
        app.state.sessions = sessions
        await router.broker.connect()
        exchange = await router.broker.declare_exchange(WATCH)
        queue = await router.broker.declare_queue(WATCHES)
        await queue.bind(exchange, "*")
        yield


@router.post("/watches", status_code=201)
async def record_watch(
    body: NewWatch, session: Annotated[AsyncSession, Depends(session_of)]
) -> WatchAnswer:
    """Store the watch, publish it, and answer once the broker has confirmed."""
    row = row_of(body)
    session.add(row)
    await session.commit()
    await router.broker.publish(
        event_of(row),
        exchange=WATCH,
        routing_key=CREATED,
        persist=True,
        message_id=str(row.id),
    )
    return WatchAnswer.model_validate(row)


app = FastAPI(lifespan=lifespan)
app.include_router(router)

if __name__ == "__main__":
    serve(app)
