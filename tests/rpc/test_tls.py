"""Encryption: who gets in, and certificates that change while streams are open."""

from __future__ import annotations

import shutil
import socket
import ssl
from datetime import timedelta

import grpc
import pytest
from cryptography import x509

from client.access import Tls
from client.stream import Client, RecognitionError, StreamingConfig
from protos.asr.v1 import asr_pb2_grpc
from service.process import ExitStatus, StartError
from service.rpc.tls import CertificateFiles, read_certificates
from service.watched import FileError
from tests.certificates import DAY, Authority
from tests.rpc.streams import audio, config, recognize, text
from tests.tones import pcm, tones

SPEECH = pcm(tones("alfa bravo"))


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority):
    return authority.sign("server", "localhost", "127.0.0.1")


def settings_for(pair, **more) -> dict[str, object]:
    return {"tls_cert": str(pair.certificate), "tls_key": str(pair.key), **more}


def client_of(address: str, tls: Tls | None) -> Client:
    return Client(address, tls=tls, connect_timeout_s=30, retry=False)


def served_serial(address: str) -> int:
    host, _, port = address.rpartition(":")
    return x509.load_pem_x509_certificate(
        ssl.get_server_certificate((host, int(port))).encode()
    ).serial_number


async def hear(client: Client) -> str:
    async with client.stream(StreamingConfig()) as stream:
        await stream.send(SPEECH)
        await stream.finish()
        return " ".join([t.final_result.text async for t in stream if t.HasField("final_result")])


async def test_a_stream_is_encrypted(serve, authority, pair):
    """A client that knows the authority is served over TLS."""
    async with (
        serve(**settings_for(pair)) as running,
        client_of(running.address, Tls(ca=authority.file)) as client,
    ):
        assert await hear(client) == "alfa bravo"


async def test_certificates_change_and_no_stream_is_dropped(serve, authority, pair):
    """New connections get the new certificate; a stream that was open before goes on."""
    async with (
        serve(**settings_for(pair)) as running,
        client_of(running.address, Tls(ca=authority.file)) as client,
        client.stream(StreamingConfig()) as stream,
    ):
        await stream.send(SPEECH)
        assert served_serial(running.address) == pair.serial
        renewed = authority.sign("renewed", "localhost", "127.0.0.1", file="server")
        assert served_serial(running.address) == renewed.serial != pair.serial
        async with client_of(running.address, Tls(ca=authority.file)) as another:
            assert await hear(another) == "alfa bravo"
        await stream.send(SPEECH)
        await stream.finish()
        finals = [t.final_result.text async for t in stream if t.HasField("final_result")]
        assert " ".join(finals) == "alfa bravo alfa bravo"


async def test_half_a_rotation_changes_nothing(serve, authority, pair):
    """A new certificate whose key is not there yet is not used, and the old one still is."""
    async with serve(**settings_for(pair)) as running:
        renewed = authority.sign("renewed", "localhost", "127.0.0.1")
        shutil.copy(renewed.certificate, pair.certificate)
        assert served_serial(running.address) == pair.serial
        pair.certificate.unlink()
        assert served_serial(running.address) == pair.serial
        shutil.copy(renewed.certificate, pair.certificate)
        shutil.copy(renewed.key, pair.key)
        assert served_serial(running.address) == renewed.serial


async def test_mutual_tls_lets_in_who_has_a_certificate(serve, authority, pair, tmp_path):
    """With --tls-client-ca only certificates of that authority get in, and callers have names."""
    stranger = Authority(tmp_path, "stranger")
    mine = authority.sign("caption-writer", "writer.example")
    forged = stranger.sign("forged")
    settings = settings_for(pair, tls_client_ca=str(authority.file), max_streams_per_caller=1)
    async with serve(**settings) as running:
        tls = Tls(authority.file, mine.certificate, mine.key)
        async with client_of(running.address, tls) as client, client.stream():
            [record] = running.servicer.ledger.open
            assert record.caller.identity == "certificate:writer.example"
            assert record.caller.label == "certificate-writer.example"
            with pytest.raises(RecognitionError, match="STREAM_QUOTA_EXCEEDED"):
                await hear(client)
        with pytest.raises(RecognitionError, match=r"wants a certificate of yours.*--cert"):
            async with client_of(running.address, Tls(ca=authority.file)):
                pass
        tls = Tls(authority.file, forged.certificate, forged.key)
        with pytest.raises(RecognitionError, match="refuses the certificate"):
            async with client_of(running.address, tls):
                pass


async def test_a_refused_certificate_is_a_sentence(serve, authority, pair, tmp_path):
    """Each way in which TLS fails names its cause and its remedy, for every client program."""
    stranger = Authority(tmp_path, "stranger")
    async with serve(**settings_for(pair)) as running:
        for tls, cause in (
            (None, "wants encryption; add --tls"),
            (Tls(ca=stranger.file), "authority is not known here; name that with --ca"),
        ):
            with pytest.raises(RecognitionError, match=cause):
                async with client_of(running.address, tls):
                    pass
    for lasts, names, cause in (
        (-DAY, ("127.0.0.1",), "expired"),
        (DAY, ("asr.example",), "not for 127.0.0.1"),
    ):
        bad = authority.sign("bad", *names, lasts=lasts)
        async with serve(**settings_for(bad)) as running:
            with pytest.raises(RecognitionError, match=cause):
                async with client_of(running.address, Tls(ca=authority.file)):
                    pass


async def test_a_plain_server_is_told_apart(server, authority):
    """A client that encrypts says so when its server does not."""
    with pytest.raises(RecognitionError, match="does not encrypt; leave --tls"):
        async with client_of(server.address, Tls(ca=authority.file)):
            pass


async def test_generated_stubs_get_in_too(serve, authority, pair):
    """Nothing but gRPC's own TLS is needed."""
    credentials = grpc.ssl_channel_credentials(authority.file.read_bytes())
    async with (
        serve(**settings_for(pair)) as running,
        grpc.aio.secure_channel(running.address, credentials) as channel,
    ):
        stub = asr_pb2_grpc.SpeechServiceStub(channel)
        assert text(await recognize(stub, [config(), *audio(SPEECH)])) == "alfa bravo"


async def test_strangers_of_tls_do_no_harm(serve, authority, pair):
    """Garbage instead of a handshake costs nobody anything."""
    async with serve(**settings_for(pair)) as running:
        host, _, port = running.address.rpartition(":")
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(300), b""):
            with socket.create_connection((host, int(port))) as one:
                one.sendall(garbage)
        async with client_of(running.address, Tls(ca=authority.file)) as client:
            assert await hear(client) == "alfa bravo"


def test_files_that_do_not_fit_are_named(authority, pair, tmp_path):
    """What is wrong with a file is told, and never what stands in it."""
    other = authority.sign("other")
    junk = tmp_path / "junk.pem"
    junk.write_text("-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n")
    for files, cause in (
        (CertificateFiles(tmp_path / "none.pem", pair.key), "none.pem cannot be read"),
        (CertificateFiles(junk, pair.key), "no certificate in PEM"),
        (CertificateFiles(pair.certificate, junk), "no private key in PEM"),
        (CertificateFiles(pair.certificate, other.key), "not the key of the first certificate"),
        (CertificateFiles(pair.certificate, pair.key, junk), "junk.pem holds no certificate"),
    ):
        with pytest.raises(FileError, match=cause) as refusal:
            read_certificates(files)
        assert "hush" not in str(refusal.value)


async def test_a_server_does_not_start_on_bad_files(serve, pair):
    """What cannot be used is known before the server listens, with the status of wrong settings."""
    pair.key.unlink()
    with pytest.raises(StartError, match="cannot be read") as refusal:
        async with serve(**settings_for(pair)):
            pass
    assert refusal.value.status is ExitStatus.WRONG_SETTINGS


def test_the_end_of_the_certificate_is_known(authority):
    """It is what an alert needs."""
    pair = authority.sign("server", lasts=timedelta(days=3))
    found = read_certificates(CertificateFiles(pair.certificate, pair.key))
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    assert found.expires_at == certificate.not_valid_after_utc
