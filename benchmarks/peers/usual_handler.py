"""The usual handler: one session, one commit and one confirmed publish for each request."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from aio_pika import DeliveryMode, ExchangeType, Message, connect_robust
from fastapi import Depends, FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers.rows import (
    CREATED,
    EXCHANGE,
    QUEUE,
    QUORUM,
    event_of,
    opened_tables,
    row_of,
)
from benchmarks.peers.serving import serve
from consumption_service.api.schemas import NewWatch, WatchAnswer


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and the broker, with a queue for the events."""
    connection = await connect_robust(os.environ["AMQP_URL"])
    async with opened_tables() as sessions, connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(QUEUE, durable=True, arguments=QUORUM)
        await queue.bind(exchange, "*")
        app.state.sessions, app.state.exchange = sessions, exchange
        yield


app = FastAPI(lifespan=lifespan)


async def session_of(request: Request) -> AsyncIterator[AsyncSession]:
    """Open a session for the length of a request."""
    async with request.app.state.sessions() as session:
        yield session


@app.post("/watches", status_code=201)
async def record_watch(
    body: NewWatch, request: Request, session: Annotated[AsyncSession, Depends(session_of)]
) -> WatchAnswer:
    """Store the watch, publish it, and answer once the broker has confirmed."""
    row = row_of(body)
    session.add(row)
    await session.commit()
    message = Message(
        event_of(row).model_dump_json(exclude_none=True).encode(),
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=str(row.id),
    )
    await request.app.state.exchange.publish(message, routing_key=CREATED)
    return WatchAnswer.model_validate(row)


if __name__ == "__main__":
    serve(app)
