"""The HTTP side of the consumption service: translates, and decides nothing."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import to_json

from consumption_service.commands import Create, Delete, Report, Watch
from consumption_service.commit import GroupCommit
from consumption_service.find import Selection, find_watch, list_watches
from consumption_service.segments import Segments
from consumption_service.settings import ConsumptionSettings
from shared.access.caller import Asking
from shared.database import Database
from shared.errors import Invalid
from shared.events import MAX_INTEGER, Instant, LessonId, Natural, Position, UserId, utc_now
from shared.problems import documented
from shared.strict_json import StrictJSONRoute

router = APIRouter(tags=["watches"], route_class=StrictJSONRoute)

IdFilter = Annotated[int | None, Query(ge=0, lt=MAX_INTEGER + 1)]

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


class State:
    """What the routes work with; opened by the application."""

    def __init__(
        self, settings: ConsumptionSettings, database: Database, commits: GroupCommit
    ) -> None:
        self.max_clock_skew = timedelta(seconds=settings.max_clock_skew)
        self.completion_percent = settings.completion_percent
        self.database = database
        self.commits = commits

    def believable(self, time: datetime | None, name: str = "body.occurred_at") -> datetime | None:
        """Return the time a client gave, or raise `Invalid` when it has not come yet."""
        if time and time > utc_now() + self.max_clock_skew:
            raise Invalid(f"{name}: {time.isoformat()} is in the future.")
        return time


async def state_of(request: Request) -> State:
    """Return what the application opened; not awaiting anything, but sparing a thread."""
    state: State = request.app.state.consumption
    return state


Opened = Annotated[State, Depends(state_of)]


class Body(BaseModel):
    """A request body: values of the right type, and no others than these."""

    model_config = ConfigDict(extra="forbid")


def _forwards(segment: tuple[int, int]) -> tuple[int, int]:
    start, end = segment
    if end < start:
        raise ValueError("should not end before it begins")
    return segment


Segment = Annotated[tuple[Position, Position], AfterValidator(_forwards)]
SeenSegments = Annotated[
    list[Segment] | None,
    Field(
        max_length=1000,
        description="What was watched, as `[from, to]` in seconds; adds to what was reported "
        "before. A player that reports it does so each time, at first with `[]`.",
        examples=[[[0, 120], [300, 314]]],
    ),
]


class NewWatch(Body):
    """A watch to record."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": 42, "lesson_id": 100, "position": 314}]}
    )

    user_id: Natural[UserId]
    lesson_id: Natural[LessonId]
    position: Position = Field(description="Whole seconds from the start of the lesson.")
    duration: Position | None = Field(default=None, description="The lesson's length in seconds.")
    occurred_at: Instant | None = Field(default=None, description="Default: now.")
    segments: SeenSegments = None


class Heartbeat(Body):
    """What a player reports while a watch goes on."""

    position: Position
    occurred_at: Instant | None = Field(default=None, description="Default: now.")
    segments: SeenSegments = None


class WatchAnswer(BaseModel):
    """A watch as it is stored."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: int
    lesson_id: int
    position: int
    duration: int | None
    occurred_at: datetime
    reported_at: datetime = Field(description="When the position was true.")
    recorded_at: datetime = Field(description="When this state was stored.")
    furthest: int = Field(description="The largest position that was ever reported.")
    segments: list[list[int]] | None = Field(
        description="What was watched, as `[from, to]`, sorted and disjoint; null: not reported."
    )


class ReportAnswer(WatchAnswer):
    """A watch after a report. `stale`: a newer position was known already, and stays.

    Even then `furthest` and `segments` take up what the report adds.
    """

    outcome: Literal["applied", "stale"]


class WatchList(BaseModel):
    """Watches, the newest first. With `next_cursor`, there are more."""

    items: list[WatchAnswer]
    next_cursor: UUID | None


def segments_of(body: NewWatch | Heartbeat) -> Segments | None:
    """Return the segments as they are stored."""
    return None if body.segments is None else [list(segment) for segment in body.segments]


@router.post(
    "/watches",
    status_code=201,
    responses={
        200: {"model": WatchAnswer, "description": "Recorded before, under the same key"},
        **documented(400, 409, 413, 422, 503),
    },
)
async def record_watch(
    body: NewWatch,
    opened: Opened,
    asking: Asking,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> WatchAnswer:
    """Record a watch. With the same `Idempotency-Key`, the same request is recorded once (200)."""
    asking.act_for(body.user_id)
    done = await opened.commits.carry_out(
        Create(
            body.user_id,
            body.lesson_id,
            body.position,
            body.duration,
            opened.believable(body.occurred_at),
            idempotency_key,
            segments_of(body),
        )
    )
    if not done.changed:
        response.status_code = 200
    response.headers["Location"] = f"/watches/{done.watch.id}"
    return _answer(done.watch)


@router.get("/watches/{watch_id:uuid}", responses=documented(404, 422, 503))
async def read_watch(watch_id: UUID, opened: Opened, asking: Asking) -> WatchAnswer:
    """Return a watch."""
    return _answer(await find_watch(opened.database, watch_id, asking.user_id))


@router.get("/watches", responses=documented(422, 503))
async def read_watches(  # noqa: PLR0913, PLR0917 - each is a parameter of the request
    opened: Opened,
    asking: Asking,
    user_id: IdFilter = None,
    lesson_id: IdFilter = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> WatchList:
    """Return the watches recorded last, newest first; with a user's token, only their own."""
    user_id = user_id if asking.user_id is None else asking.user_id
    # One more than asked for tells whether there is a next page.
    found = await list_watches(opened.database, Selection(user_id, lesson_id, cursor, limit + 1))
    page = found[:limit]
    more = len(found) > limit
    return WatchList(
        items=[_answer(watch) for watch in page], next_cursor=page[-1].id if more else None
    )


@router.patch("/watches/{watch_id:uuid}", responses=documented(400, 404, 413, 422, 503))
async def report_position(
    watch_id: UUID, body: Heartbeat, opened: Opened, asking: Asking
) -> ReportAnswer:
    """Move a watch to a new position. A report older than the last one changes nothing."""
    occurred_at = opened.believable(body.occurred_at)
    report = Report(watch_id, body.position, occurred_at, segments_of(body), only_of=asking.user_id)
    done = await opened.commits.carry_out(report)
    outcome: Literal["applied", "stale"] = "applied" if done.changed else "stale"
    return ReportAnswer(**_answer(done.watch).model_dump(), outcome=outcome)


@router.delete("/watches/{watch_id:uuid}", status_code=204, responses=documented(404, 422, 503))
async def delete_watch(watch_id: UUID, opened: Opened, asking: Asking) -> None:
    """Undo a watch, here and in the recommendations."""
    await opened.commits.carry_out(Delete(watch_id, only_of=asking.user_id))


def _answer(watch: Watch) -> WatchAnswer:
    return WatchAnswer.model_validate(watch)


def written(watch: Watch) -> bytes:
    """Return the `WatchAnswer` as JSON; for where one is written again and again."""
    return to_json(dict(zip(_FIELDS, watch, strict=False)))


_FIELDS: Final = tuple(WatchAnswer.model_fields)  # the first of a watch, in its order
