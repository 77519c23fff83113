"""How a client proves who it is, and how it knows its server: certificates and tokens."""

import argparse
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from client.channel import is_loopback

TOKEN_VARIABLE = "ASR_TOKEN"  # noqa: S105 - the name of the variable
TOKEN_FILE_VARIABLE = "ASR_TOKEN_FILE"  # noqa: S105 - the same


class AccessError(Exception):
    """A certificate or a token cannot be used. `str()` of it is a sentence for people."""


@dataclass(frozen=True)
class Tls:
    """An encrypted connection, with PEM files."""

    ca: Path | None = None
    """Authorities that may have signed the server's certificate; None means the public ones."""

    certificate: Path | None = None
    """The client's own, for servers that ask for one."""

    key: Path | None = None
    """Of the client's certificate, without a password."""

    def __post_init__(self) -> None:
        """Check the files, since gRPC would take no notice of bad ones."""
        if (self.certificate is None) != (self.key is None):
            raise AccessError("a client certificate and its key belong together; one is missing")
        self.context()

    def context(self) -> ssl.SSLContext:
        """Make what Python's own TLS wants."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
        if self.ca is not None:
            try:
                context = ssl.create_default_context(cafile=str(self.ca))
                context.set_alpn_protocols(["h2"])
            except OSError as error:
                raise AccessError(_about(self.ca, error, "certificates")) from None
        if self.certificate is not None and self.key is not None:
            try:
                # An empty password, lest OpenSSL asks for one on the terminal.
                context.load_cert_chain(self.certificate, self.key, password="")
            except OSError as error:
                what = f"the certificate and key {self.certificate} and"
                raise AccessError(f"{what} {_about(self.key, error, 'a pair')}") from None
        return context

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Read authorities, key and certificate, in the order in which gRPC takes them."""
        paths = (self.ca, self.key, self.certificate)
        try:
            data = [path.read_bytes() if path else None for path in paths]
        except OSError as error:
            raise AccessError(f"{error.filename} cannot be read: {error.strerror}") from None
        return data[0], data[1], data[2]


@dataclass(frozen=True)
class Token:
    """What the server knows its caller by. It never shows what it is, so it can be logged."""

    text: str = field(default="", repr=False)
    path: Path | None = None
    """File that holds it instead; read for each call, since whoever renews it writes it there."""

    def __str__(self) -> str:
        """Say nothing of it."""
        return "a token"

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what is sent with a call."""
        text = self.text
        if self.path is not None:
            try:
                text = self.path.read_text(encoding="ascii").strip()
            except OSError as error:
                raise AccessError(
                    f"the token file {self.path} cannot be read: {error.strerror}"
                ) from None
            except UnicodeDecodeError:
                text = ""
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            where = f"the file {self.path}" if self.path else "what was given"
            raise AccessError(f"there is no token in {where}; it is one line without spaces")
        return (("authorization", f"Bearer {text}"),)


def add_tls_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for an encrypted connection."""
    group = parser.add_argument_group("encryption")
    group.add_argument(
        "--tls", action="store_true", help="encrypt; --ca and --cert mean it as well"
    )
    group.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="PEM file with the authority that signed the server's certificate "
        "(default: the public ones)",
    )
    group.add_argument(
        "--cert", metavar="FILE", type=Path, help="PEM file with your own certificate, with --key"
    )
    group.add_argument("--key", metavar="FILE", type=Path, help="PEM file with its key")


def add_token_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who calls."""
    group = parser.add_argument_group("token")
    group.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help=f"file that holds your token (default: that of {TOKEN_FILE_VARIABLE})",
    )
    group.add_argument(
        "--token",
        metavar="TOKEN",
        help=f"your token (default: that of {TOKEN_VARIABLE}); others on this machine can see it "
        "in the list of processes, so better use the variable or a file",
    )
    group.add_argument(
        "--insecure-token",
        action="store_true",
        help="send the token without encryption as well; for a network that you trust",
    )


def tls_of(options: argparse.Namespace) -> Tls | None:
    """Return what the options say about encryption; None where they want none."""
    if not (options.tls or options.ca or options.cert or options.key):
        return None
    return Tls(options.ca, options.cert, options.key)


def token_of(
    options: argparse.Namespace, server: str, environment: dict[str, str], *, is_encrypted: bool
) -> Token | None:
    """Return what the options and the environment say about a token; None where there is none."""
    if options.token and options.token_file:
        raise AccessError("--token and --token-file are two tokens; give one")
    file = environment.get(TOKEN_FILE_VARIABLE)
    if options.token or options.token_file:
        token = Token(options.token or "", options.token_file)
    elif environment.get(TOKEN_VARIABLE):
        token = Token(environment[TOKEN_VARIABLE])
    elif file:
        token = Token(path=Path(file))
    else:
        return None
    if not (is_encrypted or options.insecure_token or is_loopback(server)):
        raise AccessError(
            f"your token would go to {server} for everyone between to read; encrypt with --tls "
            "or --ca FILE, or give --insecure-token if you trust the network"
        )
    token.metadata()
    return token


def _about(path: Path, error: OSError, what: str) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{path} holds no {what} in PEM, or the key wants a password or is another's"
    return f"{path} cannot be read: {error.strerror}"
