"""Peer rows: the same row and the same message as the product."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
from sqlalchemy.types import JSON, BigInteger, DateTime

from consumption_service.api.schemas import NewWatch
from shared.clock import utc_now
from shared.events import WatchEvent
from shared.ids import LessonId, UserId
from shared.uuid7 import new_id

EXCHANGE: Final = "watch"
QUEUE: Final = "peer.watch"
CREATED: Final = "created"
PREFETCH: Final = 300  # as the product has it
QUORUM: Final = {"x-queue-type": "quorum"}


class Base(MappedAsDataclass, DeclarativeBase):
    """The tables of a peer."""

    type_annotation_map = {int: BigInteger, datetime: DateTime(timezone=True)}  # noqa: RUF012


class WatchRow(Base):
    """A watch, with the columns and the indexes of the product."""

    __tablename__ = "watches"
    __table_args__ = (Index(None, "user_id", "id"), Index(None, "lesson_id", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    lesson_id: Mapped[int]
    position: Mapped[int]
    duration: Mapped[int | None]
    occurred_at: Mapped[datetime]
    reported_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    furthest: Mapped[int | None]
    segments: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True), default=None)
    unsegmented: Mapped[int | None] = mapped_column(default=None)


@asynccontextmanager
async def opened_tables() -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Open the database that the environment names, and make its tables."""
    engine = database()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await engine.dispose()


def database() -> AsyncEngine:
    """Return the engine, with a pool of the size that SQLAlchemy has by default."""
    url = os.environ["CONSUMPTION_DATABASE_URL"]
    return create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))


def row_of(body: NewWatch) -> WatchRow:
    """Return the row that a request makes."""
    now = utc_now()
    at = body.occurred_at or now
    return WatchRow(
        id=new_id(),
        user_id=body.user_id,
        lesson_id=body.lesson_id,
        position=body.position,
        duration=body.duration,
        occurred_at=at,
        reported_at=at,
        recorded_at=now,
        furthest=body.position,
    )


def event_of(row: WatchRow) -> WatchEvent:
    """Return the event that tells of a row."""
    return WatchEvent(
        user_id=UserId(row.user_id),
        lesson_id=LessonId(row.lesson_id),
        position=row.position,
        watch_id=row.id,
        duration=row.duration,
        furthest=row.furthest,
        occurred_at=row.occurred_at,
        reported_at=row.reported_at,
        recorded_at=row.recorded_at,
    )
