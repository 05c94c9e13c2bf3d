"""Key set: the public keys of a token issuer (JWKS), from a URL or a file.

They are read again every few minutes, to drop keys that the issuer has revoked, and when a token
names an unknown key. A minimum interval limits how often, whatever tokens are sent.
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
MIN_REFRESH_INTERVAL: Final = 10.0  # seconds between two reads
TIMEOUT: Final = 5.0  # seconds
LOOPBACK: Final = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")

UNREADABLE: Final = (httpx.HTTPError, OSError, TypeError, ValueError, PyJWKError, PyJWKSetError)


class KeySet:
    """An issuer's public keys."""

    def __init__(self, source: str) -> None:
        self._source = _trusted(source)
        self._keys: list[PyJWK] = []
        self._read_at = self._attempted_at = float("-inf")
        self._refresh_lock = asyncio.Lock()

    async def key(self, key_id: str | None) -> PyJWK:
        """Return the key of this id. A token may omit the id when there is only one key.

        Raises `Unauthenticated` when there is no such key, `Unavailable` when none can be read.
        """
        now = time.monotonic()
        found = self._find(key_id) if now - self._read_at < MAX_AGE else None
        if found is None:
            await self._refresh()
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

    async def _refresh(self) -> None:
        async with self._refresh_lock:
            if time.monotonic() - self._attempted_at < MIN_REFRESH_INTERVAL:
                return
            self._attempted_at = time.monotonic()
            try:
                self._keys = PyJWKSet.from_dict(await self._document()).keys
                self._read_at = self._attempted_at
            except UNREADABLE as error:
                # The keys read before stay valid: an unreachable issuer is no reason to refuse all.
                log.warning("the keys at %s cannot be read: %r", self._source, error)

    async def _document(self) -> dict[str, Any]:
        if not self._source.startswith("http"):
            text = await asyncio.to_thread(Path(self._source).read_text)
        else:
            async with httpx.AsyncClient(timeout=TIMEOUT) as client:
                text = (await client.get(self._source)).raise_for_status().text
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("a JWKS is an object")
        return document


def _trusted(source: str) -> str:
    """Return the URL or the path if keys from there can be trusted, or raise `CannotStart`."""
    if source.startswith(("https://", *LOOPBACK)):
        return source
    if source.startswith("http://"):
        raise CannotStart("JWT_JWKS: keys that come over http:// can be anybody's; use https://.")
    if not Path(source).is_file():
        raise CannotStart(f"JWT_JWKS: there is no file {source}.")
    return source
