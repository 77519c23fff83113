"""From the command line, the environment and a TOML file to the settings."""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.settings import Settings

ENVIRONMENT_PREFIX = "ASR_"


class SettingsError(Exception):
    """Settings are wrong; the message names every bad one."""


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
        lines = [f"  {_told(problem)}" for problem in error.errors()]
        raise SettingsError("\n".join(["these settings are wrong:", *lines])) from error


def _told(problem: ErrorDetails) -> str:
    sentence = problem["msg"].removeprefix("Value error, ")
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {sentence}" if place else sentence


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
        option = "--" + name.replace("_", "-")
        described = f"{field.description} (default: {_default(field.default)})".replace("%", "%%")
        if field.annotation is bool:
            parser.add_argument(
                option, nargs="?", const="true", choices=("true", "false"), help=described
            )
            continue
        parser.add_argument(
            option,
            action="append" if name == "model" else "store",
            metavar="SPEC" if name == "model" else name.upper().rsplit("_", 1)[-1],
            help=described,
        )
    return parser


def _default(value: object) -> str:
    """Return a default as it would be written on the command line."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return " ".join(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value) or "none"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
