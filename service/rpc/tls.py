"""Encryption: a server's certificate, and those that it asks of its clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from service.watched import FileError, Watched, read_file

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files."""

    certificate: Path
    """The server's own first, then those between it and the authority."""
    key: Path
    """Of the first certificate, without a password."""
    client_authority: Path | None = None
    """Who signs the certificates of clients; with it, a client without one is refused."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the files hold."""

    chain: bytes
    key: bytes
    client_authority: bytes | None
    expires_at: datetime
    """End of the server's own certificate."""


class ServerTls:
    """The credentials of a server whose certificates may change while it serves.

    A new connection gets the certificates that are in the files at that moment; open ones
    are left alone.
    """

    def __init__(self, files: CertificateFiles) -> None:
        """Read the files.

        Raises:
            FileError: one cannot be used; says which and why.
        """
        paths = [files.certificate, files.key]
        if files.client_authority is not None:
            paths.append(files.client_authority)
        self._watched = Watched("certificates", paths, lambda: read_certificates(files))
        self._asks_clients = files.client_authority is not None

    def expiry_timestamp_s(self) -> float:
        """Return when the certificate that is used now ends, in Unix time."""
        return self._watched.current().expires_at.timestamp()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._configuration, self._asks_clients
        )

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return what the next handshake uses; gRPC calls this in threads of its own."""
        now = self._watched.current()
        return grpc.ssl_server_certificate_configuration(
            [(now.key, now.chain)], now.client_authority
        )


def read_certificates(files: CertificateFiles) -> Certificates:
    """Read certificates and their key.

    Raises:
        FileError: one cannot be read, is no PEM, or the key is not the certificate's.
    """
    chain, key = read_file(files.certificate), read_file(files.key)
    own = _certificates(files.certificate, chain)[0]
    try:
        is_its_key = _public(load_pem_private_key(key, None).public_key()) == _public(
            own.public_key()
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own message may quote what it read.
        raise FileError(
            f"{files.key} holds no private key in PEM without a password; "
            "remove one with: openssl pkey -in FILE"
        ) from error
    if not is_its_key:
        raise FileError(f"{files.key} is not the key of the first certificate of its file")
    authority = None
    if files.client_authority is not None:
        authority = read_file(files.client_authority)
        _certificates(files.client_authority, authority)
    if own.not_valid_after_utc <= datetime.now(UTC):
        log.warning("the certificate has expired", expired_at=own.not_valid_after_utc.isoformat())
    return Certificates(chain, key, authority, own.not_valid_after_utc)


def _certificates(path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise FileError(
            f"{path} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        ) from error


def _public(key: object) -> bytes:
    data: bytes = key.public_bytes(  # type: ignore[attr-defined]
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return data
