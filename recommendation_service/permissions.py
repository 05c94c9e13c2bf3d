"""Permissions: the scope that each route of this service needs. All others need `admin`."""

from typing import Final

from shared.access.caller import Scope
from shared.access.permissions import Permission, Permissions

READ: Final = Permission(Scope.READ)
READ_ANY: Final = Permission(Scope.READ, for_users=True)  # concerns no single user

PERMISSIONS: Final = Permissions(
    {
        "GET /users/{user_id}/recommendations": READ,
        "GET /users/{user_id}/hidden-lessons": READ,
        "PUT /users/{user_id}/hidden-lessons/{lesson_id}": READ,
        "DELETE /users/{user_id}/hidden-lessons/{lesson_id}": READ,
        "POST /recommendations": READ_ANY,
        "GET /lessons": READ_ANY,
        "GET /lessons/popular": READ_ANY,
        "GET /lessons/{lesson_id}": READ_ANY,
        "GET /lessons/{lesson_id}/similar": READ_ANY,
        "GET /lessons/{lesson_id}/next": READ_ANY,
    },
    also_open={"GET /"},  # the page itself; its data needs `admin`
)
