"""The guard: authenticates the caller of a request, limits their rate, and authorizes them.

Verified credentials are cached for a moment, so that most requests verify no signature.
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
from shared.access.keys import KEY_PREFIX, parse_keys
from shared.access.permissions import Permissions
from shared.access.rate_limit import RateLimiter
from shared.access.tokens import TokenVerifier, VerifiedCredential
from shared.errors import CannotStart, Forbidden, Unauthenticated
from shared.process.settings import SharedSettings

MAX_AGE: Final = 60.0  # seconds that a verified credential is cached
MAX_CACHED: Final = 10_000
DEFAULT_RATE: Final = 1000.0  # requests a second of each caller, unless on loopback

# An address, or a name without a dot: nobody can register such a name.
LOCAL_NAME: Final = re.compile(rb"(\[[\da-f:.]+\]|[\d.]+|[\w-]+)(:\d+)?", re.IGNORECASE)

BEARER: Final = b"bearer "


class Guard:
    """Admits requests to one service by its settings."""

    def __init__(self, settings: SharedSettings, permissions: Permissions, host: str) -> None:
        self.permissions = permissions
        self._keys = parse_keys(settings.api_keys)
        self._token_verifier = _token_verifier(settings)
        self.is_open = not self._keys and self._token_verifier is None
        if self.is_open and not (is_loopback(host) or settings.allow_open):
            raise CannotStart(
                f"Anybody who reaches {host or 'this machine'} could read and change everything:"
                " set API_KEYS (`upnext key` makes one), JWT_JWKS, or ALLOW_OPEN=true."
            )
        self._any_host = settings.allow_open
        self._rate_limiter = RateLimiter(_rate(settings, host))
        self._verified_credentials: dict[bytes, VerifiedCredential] = {}

    async def admit(self, request: Request) -> Caller:
        """Return who sent the request.

        Raises `Unauthenticated`, `Forbidden` or `TooManyRequests` to refuse it, and `Unavailable`
        when the keys of the issuer cannot be read.
        """
        if self.permissions.is_open(request["method"], request["path"]):
            return ANONYMOUS
        headers = request["headers"]
        caller = self._anonymous(headers) if self.is_open else await self._caller(headers)
        return self._authorize(caller, request)

    def admit_cached(self, request: Request) -> Caller | None:
        """Return who sent the request, or None when the credential has to be verified first.

        Raises what `admit` raises.
        """
        headers = request["headers"]
        caller = self._anonymous(headers) if self.is_open else self._cached_caller(headers)
        return self._authorize(caller, request) if caller else None

    def _authorize(self, caller: Caller, request: Request) -> Caller:
        self._rate_limiter.acquire(caller.name)
        method, path = request["method"], request["path"]
        self.permissions.check(caller, method, path, request["query_string"])
        return caller

    def _anonymous(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Return the caller of an open service; its host must be local, against DNS rebinding."""
        for name, value in headers:
            if name == b"host" and not self._any_host and not LOCAL_NAME.fullmatch(value):
                raise Forbidden(
                    "This service is open, and answers to the names of this machine only;"
                    " give it keys, or set ALLOW_OPEN=true."
                )
        return ANONYMOUS_ADMIN

    async def _caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        credential = _credential(headers)
        digest = sha256(credential).digest()
        cached = self._verified_credentials.get(digest)
        if cached is None or cached.until < time.time():
            cached = await self._verify(credential, digest)
            self._cache(digest, cached)
        return cached.caller

    def _cached_caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
        cached = self._verified_credentials.get(sha256(_credential(headers)).digest())
        return cached.caller if cached and cached.until >= time.time() else None

    async def _verify(self, credential: bytes, digest: bytes) -> VerifiedCredential:
        until = time.time() + MAX_AGE
        if credential.startswith(KEY_PREFIX.encode()):
            if caller := self._keys.caller(digest):
                return VerifiedCredential(caller, until)
            raise Unauthenticated("This key is not known.")
        if self._token_verifier is None:
            raise Unauthenticated("This is no key of this service, and it takes no tokens.")
        verified = await self._token_verifier.verify(credential.decode("latin-1"))
        return VerifiedCredential(verified.caller, min(verified.until, until))

    def _cache(self, digest: bytes, verified: VerifiedCredential) -> None:
        self._verified_credentials.pop(digest, None)
        self._verified_credentials[digest] = verified
        if len(self._verified_credentials) > MAX_CACHED:
            del self._verified_credentials[next(iter(self._verified_credentials))]


def is_loopback(host: str) -> bool:
    """Tell whether the address is reached from this machine only."""
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


def _token_verifier(settings: SharedSettings) -> TokenVerifier | None:
    given: dict[str, Any] = {
        "JWT_JWKS": settings.jwt_jwks,
        "JWT_ISSUER": settings.jwt_issuer,
        "JWT_AUDIENCE": settings.jwt_audience,
    }
    if not any(given.values()):
        return None
    if missing := [name for name, value in given.items() if not value]:
        raise CannotStart(
            f"{', '.join(missing)}: tokens are verified with all of {', '.join(given)}."
        )
    return TokenVerifier(KeySet(given["JWT_JWKS"]), given["JWT_ISSUER"], given["JWT_AUDIENCE"])


def _rate(settings: SharedSettings, host: str) -> float:
    if settings.rate_limit is not None:
        return settings.rate_limit
    return 0.0 if is_loopback(host) else DEFAULT_RATE
