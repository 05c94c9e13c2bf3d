"""Tokens: verifies the JWTs of an identity provider, and returns their callers.

A token acts for the user in its `sub`. It acts for every user only if it is a client's own (`sub`
equals `client_id`, RFC 9068), has no `sub`, or has the scope `admin`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from shared.access.caller import Caller, Scope
from shared.access.key_set import KeySet
from shared.errors import Unauthenticated
from shared.ids import MAX_INTEGER

# Asymmetric signatures only: the keys that verify a token cannot sign one.
ALGORITHMS: Final = ("EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256")
LEEWAY: Final = 30  # seconds by which the issuer's clock may differ

_USER: Final = re.compile(r"0|[1-9]\d{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """The caller of a verified credential, and until when it is valid (seconds since 1970)."""

    caller: Caller
    until: float


class TokenVerifier:
    """Verifies the tokens of one issuer, for one audience."""

    def __init__(self, keys: KeySet, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def verify(self, token: str) -> VerifiedCredential:
        """Return the caller of the token.

        Raises `Unauthenticated` when it is invalid, `Unavailable` when no key can be read.
        """
        try:
            key = await self._keys.key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"The token is not good: {error}.") from None
        return VerifiedCredential(_caller(claims), int(claims["exp"]) + LEEWAY)


def _caller(claims: Mapping[str, Any]) -> Caller:
    scopes = _scopes(claims)
    subject, client = claims.get("sub"), claims.get("client_id")
    if Scope.ADMIN in scopes or subject is None or subject == client:
        return Caller(f"client {subject or client}", scopes)
    if not isinstance(subject, str) or not _USER.fullmatch(subject) or int(subject) > MAX_INTEGER:
        raise Unauthenticated("The token's `sub` is neither a user's id nor its `client_id`.")
    return Caller(f"user {subject}", scopes, int(subject))


def _scopes(claims: Mapping[str, Any]) -> frozenset[Scope]:
    """Return the token's scopes, without those of other services."""
    scope_claim = claims.get("scope", claims.get("scp", ()))
    names = scope_claim.split() if isinstance(scope_claim, str) else scope_claim
    if not isinstance(names, list | tuple):
        raise Unauthenticated("The token's `scope` is neither a text nor a list.")
    return frozenset(scope for scope in Scope if scope in names)
