"""Tokens that another server has signed (JWT, RFC 7519), proved by its public keys.

Only public key algorithms count, and of those only what fits the key: who knows a public
key must not be able to sign by taking it for a shared secret (RFC 8725, 2.1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from service.access.grants import Grant, TokenExpiredError, TokenInvalidError
from service.watched import FileError, read_file

LEEWAY_S = 10.0
"""By which clocks may differ."""

MIN_RSA_BITS = 2_048

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512", "secp256k1": "ES256K"}

CAUSES: dict[type[Exception], str] = {
    jwt.InvalidSignatureError: "its signature is not of a key that is known here",
    jwt.InvalidAlgorithmError: "it is signed by an algorithm that its key is not for",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.MissingRequiredClaimError: "it must have the claims exp, sub and aud",
    jwt.InvalidIssuerError: "it is from another issuer",
    jwt.ImmatureSignatureError: "it is not valid yet",
}
"""What a client may know. The library's own text may repeat what stands in the token."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and what it may have signed with."""

    public: Any
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens count."""

    audience: str
    """That stands in ``aud``: this service, and no other that trusts the same keys."""
    issuer: str = ""
    """That stands in ``iss``; empty is any."""


class SignedTokens:
    """Checks tokens by keys."""

    def __init__(self, keys: Mapping[str, Key], issuer: Issuer) -> None:
        """Check by these keys, known by their ids; a single one may have an empty id."""
        self._keys = dict(keys)
        self._issuer = issuer

    def check(self, token: str) -> Grant:
        """Return what a token proves.

        Raises:
            TokenExpiredError: it was good once.
            TokenInvalidError: it proves nothing here.
        """
        try:
            key = self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key.public,
                algorithms=list(key.algorithms),
                audience=self._issuer.audience,
                issuer=self._issuer.issuer or None,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenExpiredError from error
        except jwt.PyJWTError as error:
            raise TokenInvalidError(CAUSES.get(type(error), "it is no valid JWT")) from error
        subject = str(claims["sub"])
        return Grant(
            identity=f"jwt:{claims.get('iss', '')}:{subject}",
            name=subject,
            scopes=_scopes(claims),
            expires_at_s=float(claims["exp"]) + LEEWAY_S,
        )

    def _key(self, header: Mapping[str, Any]) -> Key:
        key = self._keys.get(str(header.get("kid", "")))
        if key is None and len(self._keys) == 1:
            key = next(iter(self._keys.values()))
        if key is None:
            raise jwt.InvalidSignatureError
        return key


def read_keys(path: Path) -> dict[str, Key]:
    """Read a public key in PEM, or a set of keys in JSON (JWKS, RFC 7517).

    Raises:
        FileError: it cannot be read, or holds no key that may be used.
    """
    data = read_file(path)
    if b"PRIVATE KEY" in data:
        raise FileError(f"{path} holds a private key; this server wants the public one alone")
    if data.lstrip().startswith(b"{"):
        return _key_set(path, data)
    try:
        public = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FileError(f"{path} holds neither a public key in PEM nor a JWKS") from error
    return {"": Key(public, _algorithms(path, public))}


def _key_set(path: Path, data: bytes) -> dict[str, Key]:
    try:
        entries = json.loads(data)["keys"]
        keys = {}
        for entry in entries:
            if entry.get("use", "sig") != "sig":
                continue
            if entry.get("kty") == "oct" or "d" in entry:
                raise FileError(f"{path} holds a secret key; this server wants public ones alone")
            try:
                public = jwt.PyJWK(entry).key
            except jwt.PyJWTError:
                # Of a kind that is not known here; the others count all the same (RFC 7517, 5).
                continue
            algorithms = _algorithms(path, public)
            if "alg" in entry:
                algorithms = tuple(name for name in algorithms if name == entry["alg"])
            keys[str(entry.get("kid", ""))] = Key(public, algorithms)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{path} is not a valid JWKS") from error
    if not keys:
        raise FileError(f"{path} holds no key for signatures")
    return keys


def _algorithms(path: Path, public: object) -> tuple[str, ...]:
    match public:
        case rsa.RSAPublicKey() if public.key_size >= MIN_RSA_BITS:
            return RSA_ALGORITHMS
        case ec.EllipticCurvePublicKey() if public.curve.name in CURVES:
            return (CURVES[public.curve.name],)
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return ("EdDSA",)
    raise FileError(
        f"{path} holds a key of a kind that is not used here; take RSA of {MIN_RSA_BITS} bits "
        "or more, a NIST curve, or Ed25519"
    )


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the scopes: ``scope`` of RFC 9068, or ``scp`` as others write it."""
    value = claims.get("scope", claims.get("scp", ""))
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(str(one) for one in value) if isinstance(value, list) else frozenset()
