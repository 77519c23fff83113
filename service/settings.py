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
        10.0, ge=0, le=3_600, description="seconds that open streams have to end after SIGTERM"
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
