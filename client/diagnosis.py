"""Why no connection comes about although something listens.

gRPC only says that there is none. So the handshake is made once more, by Python's own
TLS, which says what it does not like.
"""

import asyncio
import contextlib
import ssl

from client.access import Tls

_PLAIN_SERVER = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE")


async def diagnose(server: str, tls: Tls | None, timeout_s: float = 5.0) -> str | None:
    """Say in a sentence why encryption keeps a server and us apart; None where it does not."""
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit() or server.startswith(("unix:", "dns:", "ipv4:", "ipv6:")):
        return None
    try:
        async with asyncio.timeout(timeout_s):
            if tls is None:
                return await _diagnose_plain(server, host, int(port))
            return await _diagnose_encrypted(server, host, int(port), tls)
    except (OSError, TimeoutError, OverflowError, UnicodeError):
        # Nobody is there, or there is no such port or name.
        return None


async def _diagnose_plain(server: str, host: str, port: int) -> str | None:
    """Find out whether a server that does not answer plain text wants encryption."""
    context = ssl.create_default_context()
    # To learn only whether it encrypts: nothing is sent, so nothing need be proved.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError:
        return None
    await _close(writer)
    return (
        f"{server} wants encryption; add --tls, with --ca FILE where your own authority "
        "signed its certificate"
    )


async def _diagnose_encrypted(server: str, host: str, port: int, tls: Tls) -> str | None:
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls.context())
    except ssl.SSLCertVerificationError as error:
        return f"the certificate of {server} is refused: {_why(error, host)}"
    except ssl.SSLError as error:
        if error.reason in _PLAIN_SERVER:
            return f"{server} does not encrypt; leave --tls, --ca and --cert out"
        return f"{server} and this client do not agree on encryption ({error.reason})"
    try:
        # A server that speaks gRPC begins by itself; one that refuses us says so now.
        if await reader.read(1):
            return None
    except (ssl.SSLError, ConnectionError):
        pass
    finally:
        await _close(writer)
    if tls.certificate is None:
        return f"{server} wants a certificate of yours; give it with --cert FILE and --key FILE"
    return f"{server} refuses the certificate {tls.certificate}; is it signed for this server?"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _why(error: ssl.SSLCertVerificationError, host: str) -> str:
    # https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
    match error.verify_code:
        case 10:
            return "it has expired; the server needs another"
        case 9:
            return "it is not valid yet; is the clock of this machine right?"
        case 18 | 19 | 20 | 21:
            return "its authority is not known here; name that with --ca FILE"
        case 62 | 64:
            return f"it is not for {host}; use the name that stands in it"
        case _:
            return error.verify_message
