"""Credentials: a key for each scope, and the tokens of two users."""

from typing import Any, Final

import httpx

from shared.access.caller import Scope
from shared.access.keys import key_line, new_key
from tests.support.tokens import Issuer

KEYS: Final = {scope: new_key() for scope in Scope}
API_KEYS: Final = "\n".join(
    key_line(key, scope.name.lower(), [scope]) for scope, key in KEYS.items()
)
ISSUER: Final = Issuer()
SCOPES: Final = "watches:write recommendations:read"


def bearing(credential: str) -> dict[str, str]:
    """Return the header that shows the credential."""
    return {"Authorization": f"Bearer {credential}"}


ADMIN: Final = bearing(KEYS[Scope.ADMIN])
WRITER: Final = bearing(KEYS[Scope.WRITE])
READER: Final = bearing(KEYS[Scope.READ])
ADA: Final = bearing(ISSUER.token(sub="42", scope=SCOPES))
BOB: Final = bearing(ISSUER.token(sub="43", scope=SCOPES))


def watch_of(user_id: int, **more: Any) -> dict[str, Any]:
    """Return the watch to record."""
    return {"user_id": user_id, "lesson_id": 100, "position": 314, **more}


def kind_of(answer: httpx.Response) -> str:
    """Return what kind of problem the answer is."""
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).removeprefix("urn:upnext:problem:")
