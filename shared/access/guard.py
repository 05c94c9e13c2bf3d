"""The guard: finds out who sent a request, and refuses what they may not.

What a credential was found to be is remembered for a moment, so that verifying a signature is no
part of the usual request.
"""

import re
import time
from collections.abc import Iterable
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final

from starlette.types import Scope as Request

from shared.access.caller import ANONYMOUS, ANONYMOUS_ADMIN, Caller
from shared.access.key_set import KeySet
from shared.access.keys import PREFIX, parse_keys
from shared.access.permissions import Permissions
from shared.access.rate_limit import RateLimiter
from shared.access.tokens import Tokens, Verified
from shared.errors import CannotStart, Forbidden, Unauthenticated
from shared.process.settings import SharedSettings

REMEMBERED: Final = 60.0  # seconds
MAX_REMEMBERED: Final = 10_000
DEFAULT_RATE: Final = 1000.0  # requests a second of each caller, where more than this machine asks

# An address, or a name without a dot: a name that somebody could register has one.
LOCAL_NAME: Final = re.compile(rb"(\[[\da-f:.]+\]|[\d.]+|[\w-]+)(:\d+)?", re.IGNORECASE)

BEARER: Final = b"bearer "


class Guard:
    """Stands between a request and the service, by what the settings say."""

    def __init__(self, settings: SharedSettings, rights: Permissions, host: str) -> None:
        self.rights = rights
        self._keys = parse_keys(settings.api_keys)
        self._tokens = _tokens(settings)
        self.is_open = not self._keys and self._tokens is None
        if self.is_open and not (is_loopback(host) or settings.allow_open):
            raise CannotStart(
                f"Anybody who reaches {host or 'this machine'} could read and change everything:"
                " set API_KEYS (`upnext key` makes one), JWT_JWKS, or ALLOW_OPEN=true."
            )
        self._any_name = settings.allow_open
        self._pace = RateLimiter(_rate(settings, host))
        self._known: dict[bytes, Verified] = {}

    async def admit(self, request: Request) -> Caller:
        """Return who sent the request.

        Raises `Unauthenticated`, `Forbidden` or `TooManyRequests` when it goes no further, and
        `Unavailable` when nobody can tell.
        """
        if self.rights.is_open(request["method"], request["path"]):
            return ANONYMOUS
        headers = request["headers"]
        caller = self._anybody(headers) if self.is_open else await self._caller(headers)
        return self._admitted(caller, request)

    def admit_known(self, request: Request) -> Caller | None:
        """Return who sent the request, or None when a credential has to be verified to tell.

        Raises what `admit` raises.
        """
        headers = request["headers"]
        caller = self._anybody(headers) if self.is_open else self._known_caller(headers)
        return self._admitted(caller, request) if caller else None

    def _admitted(self, caller: Caller, request: Request) -> Caller:
        self._pace.count(caller.name)
        method, path = request["method"], request["path"]
        self.rights.check(caller, method, path, request["query_string"])
        return caller

    def _anybody(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Return anybody. A browser whose page is called something public does not count."""
        for name, value in headers:
            if name == b"host" and not self._any_name and not LOCAL_NAME.fullmatch(value):
                raise Forbidden(
                    "This service is open, and answers to the names of this machine only;"
                    " give it keys, or set ALLOW_OPEN=true."
                )
        return ANONYMOUS_ADMIN

    async def _caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        credential = _credential(headers)
        digest = sha256(credential).digest()
        known = self._known.get(digest)
        if known is None or known.until < time.time():
            known = await self._verified(credential, digest)
            self._remember(digest, known)
        return known.caller

    def _known_caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
        known = self._known.get(sha256(_credential(headers)).digest())
        return known.caller if known and known.until >= time.time() else None

    async def _verified(self, credential: bytes, digest: bytes) -> Verified:
        until = time.time() + REMEMBERED
        if credential.startswith(PREFIX.encode()):
            if caller := self._keys.caller(digest):
                return Verified(caller, until)
            raise Unauthenticated("This key is not known.")
        if self._tokens is None:
            raise Unauthenticated("This is no key of this service, and it takes no tokens.")
        verified = await self._tokens.verify(credential.decode("latin-1"))
        return Verified(verified.caller, min(verified.until, until))

    def _remember(self, digest: bytes, verified: Verified) -> None:
        self._known.pop(digest, None)
        self._known[digest] = verified
        if len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credential(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"authorization" and value[: len(BEARER)].lower() == BEARER:
            return value[len(BEARER) :].strip()
        if name == b"x-api-key":
            return value
    raise Unauthenticated("A key or a token is needed: `Authorization: Bearer …`.")


def _tokens(settings: SharedSettings) -> Tokens | None:
    told: dict[str, Any] = {
        "JWT_JWKS": settings.jwt_jwks,
        "JWT_ISSUER": settings.jwt_issuer,
        "JWT_AUDIENCE": settings.jwt_audience,
    }
    if not any(told.values()):
        return None
    if missing := [name for name, value in told.items() if not value]:
        raise CannotStart(
            f"{', '.join(missing)}: tokens are verified with all of {', '.join(told)}."
        )
    return Tokens(KeySet(told["JWT_JWKS"]), told["JWT_ISSUER"], told["JWT_AUDIENCE"])


def _rate(settings: SharedSettings, host: str) -> float:
    if settings.rate_limit is not None:
        return settings.rate_limit
    return 0.0 if is_loopback(host) else DEFAULT_RATE
