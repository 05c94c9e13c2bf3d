"""Permissions: the scope that each route needs, as data. A route that is not listed needs `admin`.

Both the guard and the OpenAPI document read them here.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from shared.access.caller import Caller, Scope
from shared.errors import Forbidden

OPEN: Final = frozenset(
    {
        "GET /health/live",
        "GET /health/ready",
        "GET /openapi.json",
        "GET /docs",
        "GET /asyncapi.json",
        "GET /asyncapi",
    }
)
# Static files of pages. They hold no data: a page requests its data with the key that its user
# enters.
OPEN_FOLDERS: Final = ("GET /docs/", "GET /dashboard/static/")


@dataclass(frozen=True, slots=True)
class Permission:
    """The scope that a route needs.

    A user's token is accepted on a path whose `{user_id}` is that user. It is also accepted on a
    route with `for_users`: its handler checks the user, or its response is about no user.
    """

    scope: Scope
    for_users: bool = False


ADMIN: Final = Permission(Scope.ADMIN)


class Permissions:
    """The permissions of a service, by method and path as in the OpenAPI document."""

    def __init__(self, needed: Mapping[str, Permission], also_open: Collection[str] = ()) -> None:
        self._open = OPEN | frozenset(also_open)
        self._exact = {
            route: permission for route, permission in needed.items() if "{" not in route
        }
        self._patterns = [(_pattern(route), needed[route]) for route in needed if "{" in route]
        self._needed = needed

    def is_open(self, method: str, path: str) -> bool:
        """Tell whether the route needs no caller."""
        route = f"{method} {path}"
        return route in self._open or route.startswith(OPEN_FOLDERS)

    def of_template(self, method: str, template: str) -> Permission:
        """Return the permission for the route with this path template."""
        return self._needed.get(f"{method} {template}", ADMIN)

    def check(self, caller: Caller, method: str, path: str, query: bytes) -> None:
        """Raise `Forbidden` unless the caller may do this."""
        permission, user_id = self._of_request(f"{method} {path}")
        if not caller.may(permission.scope):
            raise Forbidden(f"This needs the scope {permission.scope}.")
        if caller.user_id is not None:
            _check_user(caller, permission, user_id, query)

    def _of_request(self, route: str) -> tuple[Permission, str | None]:
        if permission := self._exact.get(route):
            return permission, None
        for pattern, permission in self._patterns:
            if match := pattern.fullmatch(route):
                return permission, match.groupdict().get("user_id")
        return ADMIN, None


def _check_user(caller: Caller, permission: Permission, user_id: str | None, query: bytes) -> None:
    """Raise `Forbidden` when the request names another user, or the route is for no single user."""
    own = str(caller.user_id)
    asked = [
        value
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        if name == "user_id"
    ]
    if user_id is not None:
        asked.append(user_id)
    elif not permission.for_users:
        raise Forbidden("This is not for the token of a single user.")
    if any(value != own for value in asked):
        raise Forbidden(f"This token acts for user {own} only.")


def _pattern(route: str) -> re.Pattern[str]:
    """Return the pattern for a path template; a parameter matches one segment of the path."""
    parts = re.split(r"\{(\w+)\}", route)
    literal, names = parts[::2], parts[1::2]
    groups = [f"(?P<{name}>[^/]+)" for name in names]
    pairs = zip(map(re.escape, literal), [*groups, ""], strict=True)
    return re.compile("".join(text + group for text, group in pairs))
