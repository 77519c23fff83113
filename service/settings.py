"""Everything that can be set, with its bounds and its default."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlencode

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)


def _model_spec(entry: object) -> object:
    """Turn a TOML table {spec = "...", option = value} into a spec with options."""
    if not isinstance(entry, Mapping):
        return entry
    options = {key: value for key, value in entry.items() if key != "spec"}
    if "spec" not in entry:
        raise ValueError('a model table needs spec = "KIND[:ARGUMENT]"')
    return f"{entry['spec']}?{urlencode(options)}" if options else entry["spec"]


class Settings(BaseModel):
    """The server's settings. Options and TOML keys bear these names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: str = Field(
        "127.0.0.1:50051",
        pattern=r"^.+:\d{1,5}$",
        description="HOST:PORT to serve on; port 0 takes a free one",
    )
    tls_cert: str = Field(
        "",
        description="PEM file with the server's certificate and those between it and the "
        "authority; read anew when it changes. Empty is plain text",
    )
    tls_key: str = Field("", description="PEM file with the key of --tls-cert")
    tls_client_ca: str = Field(
        "",
        description="PEM file with the authorities that sign certificates of clients; clients "
        "without one are refused (mutual TLS)",
    )
    insecure_listen: bool = Field(
        default=False,
        description="serve without TLS also where other machines can connect, for a network "
        "that is trusted or encrypted by others",
    )
    tokens: str = Field(
        "",
        description="file with the hashes of tokens, one of which every call must then bear; "
        "python -m service.tokens makes them. Read anew when it changes",
    )
    jwt_keys: str = Field(
        "",
        description="file with a public key (PEM) or keys (JWKS) whose signed tokens count as "
        "well; read anew when it changes",
    )
    jwt_audience: str = Field(
        "", description="what signed tokens must have in aud; wanted with --jwt-keys"
    )
    jwt_issuer: str = Field("", description="what they must have in iss; empty is anything")
    max_expired_s: float = Field(
        0.0,
        ge=0,
        le=31_536_000,
        description="how long a stream goes on whose token has expired meanwhile",
    )
    model: list[Annotated[str, BeforeValidator(_model_spec)]] = Field(
        ["whisper"],
        min_length=1,
        description="model to serve, KIND[:ARGUMENT][?option=value&...]; may be repeated, the "
        "first is the default. whisper is the bundled tiny.en, whisper:SIZE-OR-PATH another "
        "one; scripted hears tones and needs no weights",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least important log line that is written"
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto is console on a terminal and json elsewhere"
    )
    max_streams: int = Field(
        32, ge=1, le=100_000, description="streams at once; more are refused with UNAVAILABLE"
    )
    max_streams_per_caller: int = Field(
        0,
        ge=0,
        le=100_000,
        description="streams of one caller at once, more are refused with RESOURCE_EXHAUSTED; "
        "0 is as many as there are. Callers are told apart by address, so leave it at 0 behind "
        "a proxy",
    )
    max_starts_per_caller: float = Field(
        200.0,
        ge=0,
        le=1_000_000,
        description="streams that one caller may open a second, two seconds' worth at once; "
        "0 is any number",
    )
    max_stream_s: float = Field(
        86_400.0, ge=0, le=31_536_000, description="longest duration of a stream; 0 is endless"
    )
    max_recognize_s: float = Field(
        1_800.0,
        ge=0,
        le=86_400,
        description="longest time that Recognize may take for one recording; 0 is any",
    )
    idle_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="how long a stream may send nothing, or leave its results unread, before "
        "it is ended; 0 is for ever",
    )
    first_message_s: float = Field(
        10.0, ge=0, le=3_600, description="time for a new stream to send its config; 0 is any"
    )
    max_backlog_s: float = Field(
        60.0,
        ge=1,
        le=3_600,
        description="audio of a stream that may wait for its finals before no more is read",
    )
    read_ahead_s: float = Field(
        0.5,
        ge=0.25,
        le=60,
        description="audio (at 16 kHz, 16 bit) that the network layer takes of a stream before "
        "it is read",
    )
    max_connections: int = Field(
        1_000,
        ge=0,
        le=1_000_000,
        description="connections at once, more are closed; 0 is any number. Probes count too, "
        "so give them --health-listen",
    )
    keepalive_s: float = Field(
        20.0, ge=0.5, le=7_200, description="silence on a connection after which it is asked"
    )
    keepalive_timeout_s: float = Field(
        5.0, ge=0.5, le=600, description="time for its answer; a dead peer frees its slot then"
    )
    health_listen: str = Field(
        "",
        pattern=r"^(.+:\d{1,5})?$",
        description="HOST:PORT for health checks alone, plain text, beside those of --listen; "
        "empty is none",
    )
    admin_listen: str = Field(
        "",
        pattern=r"^(.+:\d{1,5})?$",
        description="HOST:PORT on loopback for gRPC's own channelz, health and reflection; empty "
        "is none",
    )
    metrics_listen: str = Field(
        "",
        pattern=r"^(.+:\d{1,5})?$",
        description="HOST:PORT for metrics of Prometheus, over HTTP at /metrics; empty is none",
    )
    otlp_endpoint: str = Field(
        "",
        description="URL of a collector that takes traces of OpenTelemetry (OTLP over gRPC), such "
        "as http://127.0.0.1:4317; wants the extra otel. Empty is none",
    )
    max_decode_s: float = Field(
        60.0,
        ge=1,
        le=3_600,
        description="longest time of one decode; one that takes longer is taken to hang, and "
        "its process ends: a worker is replaced, the server itself ends with status 1",
    )
    max_deserted_s: float = Field(
        60.0,
        ge=1,
        le=3_600,
        description="longest time that a model may be without any worker, and that the next one "
        "may take to load it; then the server ends with status 1. For --workers",
    )
    max_block_s: float = Field(
        10.0,
        ge=1,
        le=600,
        description="longest time that the process may do nothing at all before it ends itself "
        "with status 1",
    )
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="processes that decode, for each model; 0 decodes in the server's own. One "
        "keeps the server responsive beside a recognizer in Python, several use many cores and "
        "lose a part of the streams only when one dies; each holds the model's weights",
    )
    decodes: int = Field(
        0,
        ge=0,
        le=256,
        description="decodes at the same time, for each model and in all its processes together; "
        "0 is one per core; for a model that batches, two batches for each of its processes, if "
        "that is more",
    )
    threads: int = Field(
        1,
        ge=1,
        le=256,
        description="processor threads of one decode; more make one stream a little faster, "
        "and all of them together slower",
    )
    interim_interval_ms: int = Field(
        500, ge=100, le=10_000, description="new audio between two interim results, at least"
    )
    voice_activity: Literal["silero", "energy"] = Field(
        "silero",
        description="what tells speech from silence; energy takes every sound for speech and "
        "is for tests",
    )
    max_audio_message_bytes: int = Field(
        262_144, ge=1_024, le=16_777_216, description="largest audio message of a stream"
    )
    max_recording_bytes: int = Field(
        67_108_864, ge=1_024, le=1_073_741_824, description="largest recording for Recognize"
    )
    grace_s: float = Field(
        10.0, ge=0, le=3_600, description="seconds that open streams have to end when stopping"
    )
    lame_duck_s: float = Field(
        3.0,
        ge=0,
        le=600,
        description="seconds after SIGTERM in which health says NOT_SERVING and new streams are "
        "still taken, so that load balancers lose none; more than their health interval. Ctrl-C "
        "does not wait",
    )
    notice_s: float = Field(
        10.0,
        ge=0,
        le=600,
        description="so long before the server ends a stream its client is told; 0 is not at all",
    )
    reflection: bool = Field(default=True, description="serve gRPC reflection")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("--tls-cert and --tls-key belong together; one is missing")
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError(
                "--tls-client-ca asks clients for certificates by TLS; give --tls-cert"
            )
        if self.jwt_keys and not self.jwt_audience:
            raise ValueError(
                "--jwt-keys needs --jwt-audience, or tokens that were made for other services "
                "would open this one"
            )
        if self.admin_listen and not is_loopback(self.admin_listen):
            raise ValueError(
                f"--admin-listen {self.admin_listen} tells who is connected to whoever asks; "
                "listen on 127.0.0.1"
            )
        if not (self.tls_cert or self.insecure_listen or is_loopback(self.listen)):
            raise ValueError(
                f"other machines can connect to {self.listen}, and without TLS everyone between "
                "hears what is said; give --tls-cert and --tls-key, or --insecure-listen if the "
                "network is trusted, or listen on 127.0.0.1"
            )
        return self


def is_loopback(address: str) -> bool:
    """Whether only programs of this machine can connect to HOST:PORT."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
