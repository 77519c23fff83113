"""Everything that can be set: by option, by environment variable, or in a TOML file."""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

ENVIRONMENT_PREFIX = "ASR_"


class SettingsError(Exception):
    """Settings are wrong; the message names every bad one."""


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
    max_decode_s: float = Field(
        60.0,
        ge=1,
        le=3_600,
        description="longest time of one decode; one that takes longer is taken to hang, and "
        "the process ends with status 1",
    )
    max_block_s: float = Field(
        10.0,
        ge=1,
        le=600,
        description="longest time that the process may do nothing at all before it ends itself "
        "with status 1",
    )
    workers: int = Field(
        0, ge=0, le=256, description="decodes at the same time, per model; 0 is one per core"
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


def load_settings(arguments: Sequence[str]) -> Settings:
    """Read the settings: options before environment variables before the TOML file.

    Raises:
        SettingsError: at least one is wrong; names all that are.
        SystemExit: the options cannot be parsed, or --help was asked for.
    """
    options = vars(_parser().parse_args(arguments))
    config = options.pop("config") or os.environ.get(ENVIRONMENT_PREFIX + "CONFIG")
    values: dict[str, Any] = _read_toml(Path(config)) if config else {}
    for name in Settings.model_fields:
        variable = os.environ.get(ENVIRONMENT_PREFIX + name.upper())
        if variable is not None:
            values[name] = variable.split() if name == "model" else variable
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise SettingsError("\n".join(["these settings are wrong:", *lines])) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve streaming speech recognition over gRPC.",
        epilog=f"Each option may also stand in the TOML file under its name with underscores "
        f"(log_level = 'debug'), or in the environment as {ENVIRONMENT_PREFIX}NAME. "
        "Exit status: 0 stopped as asked, 1 failed while serving, 2 wrong settings, "
        "3 a model cannot be loaded, 4 the address cannot be listened on.",
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    for name, field in Settings.model_fields.items():
        default = " ".join(field.default) if name == "model" else field.default
        parser.add_argument(
            "--" + name.replace("_", "-"),
            action="append" if name == "model" else "store",
            metavar="SPEC" if name == "model" else name.upper().rsplit("_", 1)[-1],
            help=f"{field.description} (default: {default})".replace("%", "%%"),
        )
    return parser


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
