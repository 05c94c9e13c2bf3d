"""Callers: who sent a request, and for which user they may act."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Depends, Request

from shared.errors import Forbidden


class Scope(StrEnum):
    """What a key or a token allows."""

    WRITE = "watches:write"
    READ = "recommendations:read"
    ADMIN = "admin"  # everything


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. A caller with a `user_id` may act for this user only."""

    name: str
    scopes: frozenset[Scope]
    user_id: int | None = None

    def may(self, scope: Scope) -> bool:
        """Tell whether the caller has the scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def act_for(self, user_id: int) -> None:
        """Raise `Forbidden` unless the caller may act for this user."""
        if self.user_id is not None and self.user_id != user_id:
            raise Forbidden(f"This token acts for user {self.user_id} only.")


# Callers without a credential: of a service without keys and tokens, and of an open route.
ANONYMOUS_ADMIN: Final = Caller("anybody", frozenset({Scope.ADMIN}))
ANONYMOUS: Final = Caller("stranger", frozenset())


async def caller_of(request: Request) -> Caller:
    """Return who sent the request; a coroutine, so that FastAPI needs no thread for it."""
    caller: Caller = request.scope["caller"]
    return caller


CurrentCaller = Annotated[Caller, Depends(caller_of)]
