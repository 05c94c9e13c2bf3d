"""Routes that erase users and return receipts."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from consumption_service.api.dependencies import CurrentApp
from consumption_service.api.schemas import PathId
from consumption_service.record.erase import Erasure, erase, find_erasure
from shared.http.strict_json import StrictJSONRoute
from shared.ids import UserId
from shared.problems import documented

router = APIRouter(tags=["users"], route_class=StrictJSONRoute)


class Done(BaseModel):
    """When a service had deleted everything that the erasure covers."""

    done_at: datetime | None


class ErasureReceipt(BaseModel):
    """The receipt of an erasure: which services have completed it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c",
                    "user_id": 42,
                    "requested_at": "2026-11-23T10:00:00.123Z",
                    "consumption": {"done_at": "2026-11-23T10:00:00.123Z"},
                    "recommendation": {"done_at": "2026-11-23T10:00:00.140Z"},
                    "done": True,
                }
            ]
        }
    )

    id: UUID
    user_id: int
    requested_at: datetime = Field(
        description="What was recorded until then is erased; what is recorded later counts."
    )
    consumption: Done
    recommendation: Done
    done: bool = Field(description="Both services have done it.")


@router.delete("/users/{user_id}", status_code=202, responses=documented(422, 503))
async def erase_user(user_id: PathId, app: CurrentApp, response: Response) -> ErasureReceipt:
    """Erase a user: here at once, and in the recommendation service as soon as it gets the event.

    The receipt at `Location` shows when both services have completed it. Watches that are recorded
    afterwards count.
    """
    erasure = await erase(app.database, app.group_commit, UserId(user_id))
    response.headers["Location"] = f"/erasures/{erasure.id}"
    return _receipt(erasure)


@router.get("/erasures/{erasure_id:uuid}", responses=documented(404, 422, 503))
async def read_erasure(erasure_id: UUID, app: CurrentApp) -> ErasureReceipt:
    """Return the receipt of an erasure."""
    return _receipt(await find_erasure(app.database, erasure_id))


def _receipt(erasure: Erasure) -> ErasureReceipt:
    return ErasureReceipt(
        id=erasure.id,
        user_id=erasure.user_id,
        requested_at=erasure.erased_at,
        consumption=Done(done_at=erasure.erased_at),
        recommendation=Done(done_at=erasure.recommendation_done_at),
        done=erasure.recommendation_done_at is not None,
    )
