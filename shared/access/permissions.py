"""Rights: which scope each route needs, as data. What is not listed needs `admin`.

The gate decides by it, and the OpenAPI document says it, so neither can be forgotten.
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
# What pages are made of; what they show, they ask for with the visitor's key.
OPEN_FOLDERS: Final = ("GET /docs/", "GET /dashboard/static/")


@dataclass(frozen=True, slots=True)
class Permission:
    """The scope that a route needs.

    A user's token passes where the path has its `{user_id}`, and where the route is `for_users`:
    its handler sees to it, or it concerns no user at all.
    """

    scope: Scope
    for_users: bool = False


ADMIN: Final = Permission(Scope.ADMIN)


class Permissions:
    """What each route of a service needs: by method and path, as the OpenAPI document has them."""

    def __init__(self, needed: Mapping[str, Permission], also_open: Collection[str] = ()) -> None:
        self._open = OPEN | frozenset(also_open)
        self._exact = {route: right for route, right in needed.items() if "{" not in route}
        self._patterns = [
            (_pattern(route), right) for route, right in needed.items() if "{" in route
        ]
        self._needed = needed

    def is_open(self, method: str, path: str) -> bool:
        """Tell whether anybody may ask."""
        asked = f"{method} {path}"
        return asked in self._open or asked.startswith(OPEN_FOLDERS)

    def of_template(self, method: str, template: str) -> Permission:
        """Return what the route of this path template needs."""
        return self._needed.get(f"{method} {template}", ADMIN)

    def check(self, caller: Caller, method: str, path: str, query: bytes) -> None:
        """Raise `Forbidden` unless the caller may do this."""
        right, user_id = self._of_request(f"{method} {path}")
        if not caller.may(right.scope):
            raise Forbidden(f"This needs the scope {right.scope}.")
        if caller.user_id is not None:
            _check_user(caller, right, user_id, query)

    def _of_request(self, asked: str) -> tuple[Permission, str | None]:
        if right := self._exact.get(asked):
            return right, None
        for pattern, right in self._patterns:
            if match := pattern.fullmatch(asked):
                return right, match.groupdict().get("user_id")
        return ADMIN, None


def _check_user(caller: Caller, right: Permission, user_id: str | None, query: bytes) -> None:
    """Raise `Forbidden` when the request names another user, or the route is for no single one."""
    own = str(caller.user_id)
    asked = [
        value
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        if name == "user_id"
    ]
    if user_id is not None:
        asked.append(user_id)
    elif not right.for_users:
        raise Forbidden("This is not for the token of a single user.")
    if any(value != own for value in asked):
        raise Forbidden(f"This token acts for user {own} only.")


def _pattern(route: str) -> re.Pattern[str]:
    """Return what matches the paths of a template, each parameter a part without a slash."""
    parts = re.split(r"\{(\w+)\}", route)
    literal, names = parts[::2], parts[1::2]
    groups = [f"(?P<{name}>[^/]+)" for name in names]
    pairs = zip(map(re.escape, literal), [*groups, ""], strict=True)
    return re.compile("".join(text + group for text, group in pairs))
