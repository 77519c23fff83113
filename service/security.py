"""From settings to who may connect, and who may call."""

from __future__ import annotations

from pathlib import Path

from service.access.authentication import Authentication, signed_tokens, static_tokens
from service.access.signed_tokens import Issuer
from service.rpc.tls import CertificateFiles, ServerTls
from service.settings import Settings


def server_tls(settings: Settings) -> ServerTls | None:
    """Read the certificates; None where there are none.

    Raises:
        FileError: a file cannot be used.
    """
    if not settings.tls_cert:
        return None
    authority = Path(settings.tls_client_ca) if settings.tls_client_ca else None
    return ServerTls(CertificateFiles(Path(settings.tls_cert), Path(settings.tls_key), authority))


def authentication(settings: Settings) -> Authentication | None:
    """Read the tokens and the keys of tokens; None where nobody needs one.

    Raises:
        FileError: a file cannot be used.
    """
    if not (settings.tokens or settings.jwt_keys):
        return None
    issuer = Issuer(settings.jwt_audience, settings.jwt_issuer)
    return Authentication(
        static_tokens(Path(settings.tokens)) if settings.tokens else None,
        signed_tokens(Path(settings.jwt_keys), issuer) if settings.jwt_keys else None,
    )
