"""API keys: made here, shown once, and stored as hashes only.

A key is 256 random bits, so its hash needs neither a salt nor a slow function.
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from shared.access.caller import Caller, Scope
from shared.errors import CannotStart

KEY_PREFIX: Final = "upnext_"  # tells a key from a token, and lets scanners find one that leaked
RANDOM_BYTES: Final = 32

_LINE: Final = re.compile(r"(?P<name>[\w.-]+) (?P<scopes>[\w:,]+) sha256:(?P<digest>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key: its hash, and the caller who has it."""

    digest: bytes
    caller: Caller


class ApiKeys:
    """The valid keys."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def caller(self, digest: bytes) -> Caller | None:
        """Return the caller whose key has this hash; in constant time for any hash."""
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.caller
        return found


def new_key() -> str:
    """Return a new key."""
    return KEY_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def key_line(key: str, name: str, scopes: Sequence[Scope]) -> str:
    """Return the line for `API_KEYS`, with the hash of the key."""
    return f"{name} {','.join(scopes)} sha256:{sha256(key.encode()).hexdigest()}"


def parse_keys(text: str) -> ApiKeys:
    """Return the keys that `API_KEYS` lists, or raise `CannotStart` with the invalid line."""
    lines = (line.strip() for line in re.split(r"[\n;]", text))
    entries = [line for line in lines if line and not line.startswith("#")]
    keys = [_key(number, line) for number, line in enumerate(entries, 1)]
    names = [key.caller.name for key in keys]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise CannotStart(f"API_KEYS: {', '.join(sorted(repeated))}: a name stands for one key.")
    return ApiKeys(keys)


def _key(number: int, line: str) -> ApiKey:
    # The line is not shown: it may be the key itself, by mistake.
    match = _LINE.fullmatch(line)
    if match is None:
        raise CannotStart(
            f"API_KEYS: key {number} is not like `name scope,scope sha256:…`;"
            " `upnext key` makes such a line."
        )
    try:
        scopes = frozenset(Scope(scope) for scope in match["scopes"].split(","))
    except ValueError:
        known = ", ".join(Scope)
        raise CannotStart(f"API_KEYS: key {number}: the scopes are {known}.") from None
    return ApiKey(bytes.fromhex(match["digest"]), Caller(match["name"], scopes))
