"""The keys that an issuer of tokens signs with (JWKS), from its address or from a file.

They are read again every few minutes, so that a key which the issuer gave up is given up here too,
and when a token names a key that is not known yet; not more often than that, whoever asks.
"""

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any, Final

import httpx
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWKError, PyJWKSetError

from shared.errors import CannotStart, Unauthenticated, Unavailable

log = logging.getLogger(__name__)

MAX_AGE: Final = 300.0  # seconds
PAUSE: Final = 10.0  # seconds between two readings, at least
TIMEOUT: Final = 5.0  # seconds
LOOPBACK: Final = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")

UNREADABLE: Final = (httpx.HTTPError, OSError, TypeError, ValueError, PyJWKError, PyJWKSetError)


class KeySet:
    """An issuer's public keys."""

    def __init__(self, place: str) -> None:
        self._place = _checked(place)
        self._keys: list[PyJWK] = []
        self._read_at = self._tried_at = float("-inf")
        self._turn = asyncio.Lock()

    async def key(self, key_id: str | None) -> PyJWK:
        """Return the key of this id. A token may leave it out where there is only one key.

        Raises `Unauthenticated` when there is no such key, `Unavailable` when nobody can tell.
        """
        now = time.monotonic()
        found = self._find(key_id) if now - self._read_at < MAX_AGE else None
        if found is None:
            await self._read_again()
            found = self._find(key_id)
        if found is not None:
            return found
        if not self._keys:
            raise Unavailable("The keys that tokens are verified with cannot be read.")
        raise Unauthenticated("The token is signed with a key that the issuer does not have.")

    def _find(self, key_id: str | None) -> PyJWK | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == key_id), None)

    async def _read_again(self) -> None:
        async with self._turn:
            if time.monotonic() - self._tried_at < PAUSE:
                return
            self._tried_at = time.monotonic()
            try:
                self._keys = PyJWKSet.from_dict(await self._document()).keys
                self._read_at = self._tried_at
            except UNREADABLE as error:
                # Those of before stay good: an issuer that is away is no reason to refuse all.
                log.warning("the keys at %s cannot be read: %r", self._place, error)

    async def _document(self) -> dict[str, Any]:
        if not self._place.startswith("http"):
            text = await asyncio.to_thread(Path(self._place).read_text)
        else:
            async with httpx.AsyncClient(timeout=TIMEOUT) as client:
                text = (await client.get(self._place)).raise_for_status().text
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("a JWKS is an object")
        return document


def _checked(place: str) -> str:
    """Return the address or the path, if keys from there can be trusted."""
    if place.startswith(("https://", *LOOPBACK)):
        return place
    if place.startswith("http://"):
        raise CannotStart("JWT_JWKS: keys that come over http:// can be anybody's; use https://.")
    if not Path(place).is_file():
        raise CannotStart(f"JWT_JWKS: there is no file {place}.")
    return place
