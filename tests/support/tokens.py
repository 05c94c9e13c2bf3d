"""An issuer of tokens: its key pairs, the document with the public ones, and its tokens."""

import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER: Final = "https://issuer.test/"
AUDIENCE: Final = "upnext"
SIGNED_BY: Final = "ES256"


class Issuer:
    """Signs with an elliptic curve, which is quick to make a key for."""

    def __init__(self, key_id: str = "one") -> None:
        """Make a key pair."""
        self.key_id = key_id
        self.private = ec.generate_private_key(ec.SECP256R1())

    def jwk(self) -> dict[str, Any]:
        """Return the public key as JWKS has it."""
        public = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.key_id, "use": "sig"}

    def token(self, **claims: Any) -> str:
        """Return a token, good for an hour unless the claims differ; None leaves a claim out."""
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600}
        told = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(told, self.private, SIGNED_BY, headers={"kid": self.key_id})


def publish(path: Path, *issuers: Issuer) -> str:
    """Write the document with the public keys, and return where it is."""
    path.write_text(json.dumps({"keys": [issuer.jwk() for issuer in issuers]}))
    return str(path)


def rsa_jwk(key_id: str) -> dict[str, Any]:
    """Return another public key, of the kind that most issuers have."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    return {**RSAAlgorithm.to_jwk(public, as_dict=True), "kid": key_id, "use": "sig"}


def settings_of(jwks: str) -> dict[str, str]:
    """Return the settings that take this issuer's tokens."""
    return {"jwt_jwks": jwks, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
