"""Tokens: only those that the issuer signed, for us, and that are still good."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.access.caller import Scope
from shared.access.key_set import KeySet
from shared.access.tokens import TokenVerifier
from shared.errors import CannotStart, Unauthenticated, Unavailable
from tests.support.tokens import AUDIENCE, ISSUER, Issuer, publish, rsa_jwk

US: Final = Issuer()
THEM: Final = Issuer()  # another key under the same id
PAST: Final = int(time.time()) - 3600
FUTURE: Final = int(time.time()) + 3600


def tokens_of(place: str) -> TokenVerifier:
    return TokenVerifier(KeySet(place), ISSUER, AUDIENCE)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenVerifier:
    return tokens_of(publish(tmp_path / "jwks.json", US))


async def test_a_token_acts_for_the_user_it_names(tokens: TokenVerifier) -> None:
    verified = await tokens.verify(US.token(sub="42", scope="watches:write openid", exp=FUTURE))

    assert verified.caller.user_id == 42
    assert verified.caller.scopes == {Scope.WRITE}
    assert verified.until <= FUTURE + 60


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "backend", "client_id": "backend"},
        {"client_id": "backend"},
        {"sub": "7", "client_id": "7"},
        {"sub": "ada", "scp": ["admin", "watches:write"], "scope": None},
        {"sub": "42", "scope": "admin"},
    ],
)
async def test_a_token_of_a_client_or_an_operator_acts_for_anybody(
    tokens: TokenVerifier, claims: dict[str, Any]
) -> None:
    verified = await tokens.verify(US.token(**{"scope": "watches:write", **claims}))

    assert verified.caller.user_id is None


@pytest.mark.parametrize("subject", ["ada", "-1", "042", "4 2", " 42", "42\n", "٤٢", "9" * 19, ""])
async def test_a_token_of_somebody_who_is_no_user_here_acts_for_nobody(
    tokens: TokenVerifier, subject: str
) -> None:
    with pytest.raises(Unauthenticated, match="neither a user's id nor"):
        await tokens.verify(US.token(sub=subject, scope="watches:write"))


def by_another_issuer() -> str:
    return THEM.token(sub="42")


def with_another_payload() -> str:
    head, _, signature = US.token(sub="42").split(".")
    payload = jwt.utils.base64url_encode(json.dumps({"sub": "43", "exp": FUTURE}).encode())
    return f"{head}.{payload.decode()}.{signature}"


def unsigned() -> str:
    claims = {"sub": "42", "iss": ISSUER, "aud": AUDIENCE, "exp": FUTURE}
    return jwt.encode(claims, "", "none", headers={"kid": US.key_id})


def signed_with_the_public_key() -> str:
    """What fools a verifier that takes the algorithm from the token."""
    public = US.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    head = part({"alg": "HS256", "kid": US.key_id, "typ": "JWT"})
    text = head + b"." + part({"sub": "42", "iss": ISSUER, "aud": AUDIENCE, "exp": FUTURE})
    mac = base64.urlsafe_b64encode(hmac.digest(public, text, sha256)).rstrip(b"=")
    return (text + b"." + mac).decode()


FORGED: Final[dict[str, Callable[[], str]]] = {
    "by another issuer": by_another_issuer,
    "with another payload": with_another_payload,
    "unsigned": unsigned,
    "signed with the public key": signed_with_the_public_key,
    "expired": lambda: US.token(sub="42", exp=PAST),
    "without an end": lambda: US.token(sub="42", exp=None),
    "not good yet": lambda: US.token(sub="42", nbf=FUTURE),
    "for another audience": lambda: US.token(sub="42", aud="another"),
    "for no audience": lambda: US.token(sub="42", aud=None),
    "in another issuer's name": lambda: US.token(sub="42", iss="https://elsewhere.test/"),
    "in nobody's name": lambda: US.token(sub="42", iss=None),
    "with scopes of a wrong kind": lambda: US.token(sub="42", scope=7),
    "no token at all": lambda: "hello",
    "nothing": lambda: "",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
async def test_a_token_that_is_not_good_is_refused(
    tokens: TokenVerifier, forge: Callable[[], str]
) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(forge())


async def test_a_key_that_the_issuer_adds_is_found(tmp_path: Path) -> None:
    place = publish(tmp_path / "jwks.json", US)
    key_set = KeySet(place)
    assert (await key_set.key("one")).key_id == "one"
    with pytest.raises(Unauthenticated, match="does not have"):
        await TokenVerifier(key_set, ISSUER, AUDIENCE).verify(Issuer("two").token(sub="42"))

    document = {"keys": [US.jwk(), rsa_jwk("two")]}
    (tmp_path / "jwks.json").write_text(json.dumps(document))

    assert (await KeySet(place).key("two")).key_id == "two"


async def test_asking_for_keys_that_do_not_exist_does_not_read_them_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = publish(tmp_path / "jwks.json", US)
    key_set = KeySet(place)
    await key_set.key("one")
    (tmp_path / "jwks.json").unlink()

    for number in range(100):
        with pytest.raises(Unauthenticated):
            await key_set.key(f"unknown {number}")

    assert caplog.records == []  # nobody tried
    assert (await key_set.key("one")).key_id == "one"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "?"}]}', "{"])
async def test_keys_that_cannot_be_read_are_nobodys_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "jwks.json").write_text(text)

    with pytest.raises(Unavailable):
        await tokens_of(str(tmp_path / "jwks.json")).verify(US.token(sub="42"))


@pytest.mark.parametrize(
    ("place", "why"), [("http://issuer.test/jwks", "use https://"), ("/nowhere", "no file")]
)
def test_keys_from_a_place_that_cannot_be_trusted_end_the_start(place: str, why: str) -> None:
    with pytest.raises(CannotStart, match=why):
        KeySet(place)
