"""Permissions: the scope that each route of this service needs. All others need `admin`."""

from typing import Final

from shared.access.caller import Scope
from shared.access.permissions import Permission, Permissions

WRITE: Final = Permission(Scope.WRITE)
WRITE_OWN: Final = Permission(Scope.WRITE, for_users=True)  # the route checks that it is their own

PERMISSIONS: Final = Permissions(
    {
        "POST /watches": WRITE_OWN,
        "POST /watches/batch": WRITE_OWN,
        "GET /watches": WRITE_OWN,
        "GET /watches/{watch_id}": WRITE_OWN,
        "PATCH /watches/{watch_id}": WRITE_OWN,
        "DELETE /watches/{watch_id}": WRITE_OWN,
        "POST /xapi/statements": WRITE_OWN,
        "GET /users/{user_id}/progress": WRITE,
        "GET /users/{user_id}/continue-watching": WRITE,
        "GET /lessons/{lesson_id}/completion": WRITE,
    }
)
