"""Tokens that others have signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from service.access.authentication import Authentication, signed_tokens
from service.access.grants import (
    ScopeMissingError,
    TokenExpiredError,
    TokenInvalidError,
    TokenMissingError,
)
from service.access.signed_tokens import Issuer, SignedTokens, read_keys
from service.watched import FileError

ISSUER = Issuer("asr", "https://login.example")

CURVE = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def pem(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(key=CURVE, algorithm: str = "ES256", kid: str | None = None, **changes: object) -> str:
    claims = {
        "sub": "ann",
        "aud": "asr",
        "iss": "https://login.example",
        "exp": int(time.time()) + 300,
        "scope": "openid recognize",
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else None)


@pytest.fixture
def tokens(tmp_path) -> SignedTokens:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(CURVE))
    return SignedTokens(read_keys(file), ISSUER)


def test_a_token_says_who_and_what(tokens):
    """Identity is subject and issuer, scopes are those of the claim, and the end is known."""
    grant = tokens.check(sign())
    assert (grant.identity, grant.name) == ("jwt:https://login.example:ann", "ann")
    assert grant.scopes == {"openid", "recognize"}
    assert abs(grant.expires_at_s - time.time() - 300) < 20


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": None, "scp": ["recognize", "list"]}, {"recognize", "list"}),
        ({"scope": None, "scp": "recognize"}, {"recognize"}),
        ({"scope": None}, set()),
        ({"scope": 7}, set()),
    ],
)
def test_scopes_as_others_write_them(tokens, claims, scopes):
    """Scopes stand in scope or scp; what has none may do nothing."""
    assert tokens.check(sign(**claims)).scopes == scopes


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"aud": "other"}, "another audience"),
        ({"aud": None}, "claims exp, sub and aud"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"sub": None}, "claims exp, sub and aud"),
        ({"exp": None}, "claims exp, sub and aud"),
        ({"nbf": int(time.time()) + 600}, "not valid yet"),
        ({"exp": "soon"}, "no valid JWT"),
    ],
)
def test_what_a_token_must_say(tokens, claims, cause):
    """A token without an end, for others, or from others opens nothing."""
    with pytest.raises(TokenInvalidError, match=cause):
        tokens.check(sign(**claims))


def test_an_expired_token_is_told_from_a_bad_one(tokens):
    """Getting a new one helps, so it has a reason of its own; clocks may differ by seconds."""
    with pytest.raises(TokenExpiredError):
        tokens.check(sign(exp=int(time.time()) - 60))
    assert tokens.check(sign(exp=int(time.time()) - 3))


def test_only_the_key_signs(tokens):
    """A foreign key, a changed claim, no signature and a foreign algorithm are all refused."""
    good = sign()
    head, body, signature = good.split(".")
    changed = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "root"}
    forged = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
    unsigned = jwt.encode({"sub": "ann", "aud": "asr", "exp": time.time() + 60}, None, "none")
    for token in (
        sign(OTHER),
        sign(RSA, "RS256"),
        f"{head}.{forged}.{signature}",
        f"{head}.{body}.",
        unsigned,
        "a.b.c",
        "..",
    ):
        with pytest.raises(TokenInvalidError) as refusal:
            tokens.check(token)
        assert token not in str(refusal.value)


def test_the_public_key_is_no_shared_secret(tmp_path):
    """Signing by HMAC with the public key, which everyone knows, is refused (RFC 8725)."""
    file = tmp_path / "key.pem"
    file.write_bytes(pem(RSA))
    tokens = SignedTokens(read_keys(file), ISSUER)

    def part(content: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")

    claims = {"sub": "root", "aud": "asr", "iss": ISSUER.issuer, "exp": time.time() + 60}
    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    mac = base64.urlsafe_b64encode(hmac.digest(pem(RSA), signed, hashlib.sha256)).rstrip(b"=")
    with pytest.raises(TokenInvalidError, match="algorithm"):
        tokens.check((signed + b"." + mac).decode())
    assert tokens.check(sign(RSA, "RS256"))
    assert tokens.check(sign(RSA, "PS384"))


def key_set(**keys) -> str:
    entries = []
    for kid, key in keys.items():
        kind = {
            rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
            ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
            ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
        }
        algorithm = next(made for base, made in kind.items() if isinstance(key, base))
        entries.append(json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
    return json.dumps({"keys": entries})


def test_a_set_of_keys_is_told_apart_by_their_ids(tmp_path):
    """In a JWKS each token names its key, and no other key counts for it."""
    file = tmp_path / "keys.json"
    file.write_text(key_set(curve=CURVE, rsa=RSA, edwards=EDWARDS))
    tokens = SignedTokens(read_keys(file), ISSUER)
    for token in (
        sign(CURVE, kid="curve"),
        sign(RSA, "RS512", kid="rsa"),
        sign(EDWARDS, "EdDSA", kid="edwards"),
    ):
        assert tokens.check(token).name == "ann"
    for token in (sign(CURVE, kid="rsa"), sign(CURVE, kid="unknown"), sign(CURVE)):
        with pytest.raises(TokenInvalidError):
            tokens.check(token)


def test_keys_change_while_the_server_runs(tmp_path):
    """A new set of keys counts at once, and a broken one changes nothing."""
    file = tmp_path / "keys.json"
    file.write_text(key_set(old=CURVE))
    authentication = Authentication(signed=signed_tokens(file, ISSUER))

    def is_known(token: str) -> bool:
        try:
            return bool(authentication.grant(f"Bearer {token}", "recognize"))
        except TokenInvalidError:
            return False

    old, new = sign(CURVE, kid="old"), sign(OTHER, kid="new")
    assert (is_known(old), is_known(new)) == (True, False)
    file.write_text(key_set(old=CURVE, new=OTHER))
    assert (is_known(old), is_known(new)) == (True, True)
    file.write_text("{")
    assert (is_known(old), is_known(new)) == (True, True)
    file.write_text(key_set(new=OTHER))
    assert (is_known(old), is_known(new)) == (False, True)


PRIVATE = CURVE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
WEAK = pem(rsa.generate_private_key(65537, 1024)).decode()  # noqa: S505 - that is the point


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("junk", "neither a public key"),
        (PRIVATE, "private key; this server wants the public one"),
        ('{"keys": []}', "no key for signatures"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "secret key"),
        ('{"keys": [{"kty": "EC"}]}', "no key for signatures"),
        ('{"keys": [{"kty": "lattice", "kid": "1"}]}', "no key for signatures"),
        ('{"keys": 3}', "not a valid JWKS"),
        ("{", "not a valid JWKS"),
        (WEAK, "RSA of 2048 bits"),
    ],
)
def test_keys_that_must_not_be_used(tmp_path, content, cause):
    """Secrets, weak keys and junk are refused when they are read, not when a token comes."""
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(FileError, match=cause) as refusal:
        read_keys(file)
    assert "c2VjcmV0" not in str(refusal.value)


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Basic YTpi", "Token x"])
def test_what_is_no_token_at_all(sent):
    """Without a bearer token there is nobody to know."""
    with pytest.raises(TokenMissingError):
        Authentication().grant(sent, "recognize")


@pytest.mark.parametrize("token", ["x" * 10_000, "é.é.é", "\udc80.\udc80.\udc80"])
def test_what_no_token_can_be(token, tmp_path):
    """Length and letters that no token has are refused before anything is reckoned."""
    with pytest.raises(TokenInvalidError, match="too long, or not made of ASCII"):
        Authentication().grant(f"Bearer {token}", "recognize")


def test_the_scheme_is_written_in_any_case(tokens, tmp_path):
    """`bearer` is what some libraries send (RFC 7235); the scope is what decides then."""
    file = tmp_path / "key.pem"
    authentication = Authentication(signed=signed_tokens(file, ISSUER))
    assert authentication.grant(f"bearer {sign()}", "recognize")
    with pytest.raises(ScopeMissingError):
        authentication.grant(f"BEARER  {sign()}", "list")
