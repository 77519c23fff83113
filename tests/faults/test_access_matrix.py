"""Certificates that change and tokens that expire, in every phase of a stream."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography import x509

from client.access import Tls, Token
from client.stream import RecognitionError
from service.access.grants import SCOPES
from service.access.token_file import Entry, hash_of, new_token
from tests.certificates import Authority
from tests.faults.aftermath import OPTIONS, bystander, nothing_is_left
from tests.faults.processes import Process, service
from tests.faults.proxy import chaos_proxy
from tests.faults.streams import Access
from tests.faults.victim import PHASES, TRANSCRIPT, victim_of
from tests.rpc.streams import text

LASTS_S = 2.5
"""Of a token that is to expire while its stream is open."""


@dataclass(frozen=True)
class Secured:
    """A server that encrypts and wants tokens."""

    process: Process
    authority: Authority
    access: Access
    """With a token that never expires."""
    tokens: list[str]
    """The lines of its file."""

    def token_until(self, end_s: float) -> Access:
        """Let another token in, until a moment of Unix time."""
        token = new_token()
        self.tokens.append(_line("brief", token, datetime.fromtimestamp(end_s, UTC)))
        (self.authority.folder / "tokens").write_text("\n".join(self.tokens))
        return Access(self.access.tls, Token(token))

    async def served_serial(self) -> int:
        """Return the number of the certificate that a new connection is shown."""
        host, _, port = self.process.address.rpartition(":")
        pem = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number


def _line(name: str, token: str, end: datetime | None) -> str:
    line = Entry(name, hash_of(token), frozenset(SCOPES), None).line()
    # Parts of a second, which the command that makes tokens has no use for.
    return line if end is None else line.replace("never", end.isoformat())


@pytest.fixture(scope="module")
def secured(tmp_path_factory) -> Iterator[Secured]:
    """One server for all cells."""
    authority = Authority(tmp_path_factory.mktemp("secured"))
    pair = authority.sign("server", "127.0.0.1")
    token = new_token()
    tokens = [_line("ann", token, None)]
    file = authority.folder / "tokens"
    file.write_text("\n".join(tokens))
    files = (*("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)), "--tokens")
    with service(*OPTIONS, *files, str(file)) as process:
        access = Access(Tls(ca=authority.file), Token(token))
        yield Secured(process, authority, access, tokens)


@pytest.mark.parametrize("phase", PHASES)
async def test_a_new_certificate_passes_without_a_trace(secured, phase):
    """New connections are shown it; open streams end with OK and the very same transcript."""
    process, access = secured.process, secured.access
    async with bystander(process, access), chaos_proxy(process.address) as proxy:
        async with victim_of(proxy.address, access=access) as victim:
            await victim.reach(phase)
            renewed = secured.authority.sign("renewed", "127.0.0.1", file="server")
            assert await secured.served_serial() == renewed.serial
            outcome = await victim.complete()
        assert (outcome.code, outcome.reason) == ("OK", "")
        assert text(outcome.transcripts) == TRANSCRIPT
        # And with the new one.
        async with bystander(process, access):
            pass
    await nothing_is_left(process, access)


@pytest.mark.parametrize("phase", PHASES)
async def test_an_expired_token_ends_its_own_stream(secured, phase):
    """The stream has its finals and TOKEN_EXPIRED, unless it ends before; others go on."""
    process = secured.process
    async with bystander(process, secured.access):
        end_s = time.time() + LASTS_S
        brief = secured.token_until(end_s)
        async with victim_of(process.address, access=brief) as victim:
            try:
                await victim.reach(phase)
            except RecognitionError:
                # All was so slow that the token expired on the way; the end is the same.
                phase = ""
            if phase == "opened":
                await asyncio.sleep(max(0.0, end_s - time.time()) + 0.1)
                outcome = await victim.complete()
            else:
                outcome = await victim.end()
    heard = text(outcome.transcripts)
    if phase == "half-closed" and outcome.code == "OK":
        assert heard == TRANSCRIPT
    else:
        assert (outcome.code, outcome.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
        if phase in ("in speech", "after a final"):
            assert heard == "alfa bravo"
    await nothing_is_left(process, secured.access)
