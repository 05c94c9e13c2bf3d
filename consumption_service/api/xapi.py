"""Route of xAPI statements, as players of the video profile send them to a record store."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter
from pydantic import Discriminator, Field, Tag

from consumption_service.api.dependencies import AppState, CurrentApp
from consumption_service.record.xapi import NewStatement, record_statements
from consumption_service.record.xapi_statements import ParsedStatement, Statement, parse_statement
from shared.access.caller import CurrentCaller
from shared.errors import Invalid
from shared.http.strict_json import StrictJSONRoute
from shared.problems import documented

router = APIRouter(tags=["xapi"], route_class=StrictJSONRoute)

MAX_STATEMENTS: Final = 1000

Statements = Annotated[
    Annotated[Statement, Tag("statement")]
    | Annotated[list[Statement], Tag("list"), Field(max_length=MAX_STATEMENTS)],
    Discriminator(lambda body: "list" if isinstance(body, list) else "statement"),
]


@router.post("/xapi/statements", responses=documented(400, 409, 413, 422, 503))
async def record_xapi_statements(
    body: Statements, app: CurrentApp, caller: CurrentCaller
) -> list[UUID]:
    """Record one statement, or up to 1,000; return their ids. If one is wrong, none is recorded.

    Statements of a session are one watch. Repeating a statement is recording it once; the same id
    with other content is a conflict. Statements with other verbs than `played`, `paused`, `seeked`,
    `completed` and `terminated` are accepted and not recorded.
    """
    statements = body if isinstance(body, list) else [body]
    ids = [one.id or uuid4() for one in statements]
    new = list(_parsed(statements, ids, app))
    for one in new:
        caller.act_for(one.parsed.user_id)
    if new:
        work = partial(record_statements, new, app.database)
        await app.group_commit.transact(work, max_events=len(new))
    return ids


def _parsed(
    statements: Sequence[Statement], ids: Sequence[UUID], app: AppState
) -> Iterator[NewStatement]:
    for index, (statement, id_) in enumerate(zip(statements, ids, strict=True)):
        if statement.is_about_watching:
            yield NewStatement(id_, statement.digest(), _parse(statement, index, app))


def _parse(statement: Statement, index: int, app: AppState) -> ParsedStatement:
    """Parse the statement, or raise `Invalid`, which tells its index."""
    try:
        app.not_in_the_future(statement.timestamp, "timestamp")
        return parse_statement(statement)
    except Invalid as error:
        raise Invalid(f"statement {index}: {error}") from None
