"""Manifests: which recordings there are and what is said in them.

A manifest is a file of JSON lines. Each line names a recording in `audio`, a path from the
manifest's folder, and what is said in it in `text`; further fields may say how to group them.
What is wrong with an entry becomes a `Problem`, and the others are used.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.cli import ExitCode

_COMMON_NAME = "manifest"
"""A manifest of this name is called by its folder."""


@dataclass(frozen=True)
class Problem:
    """Something that was not measured, and why."""

    where: str
    """Names the manifest's line, the clip or the server."""

    sentence: str
    """What is wrong, for people."""

    exit_code: ExitCode
    """What the program's exit code would be, were it the only problem."""


@dataclass(frozen=True)
class Entry:
    """One recording of a manifest."""

    name: str
    """Tells it from all others, on any machine: manifest, slash, path as it stands there."""

    path: Path
    text: str
    speaker: str
    """Empty where nobody said."""
    group: str


def read_manifests(
    paths: Sequence[Path], group_by: str = "group"
) -> tuple[list[Entry], list[Problem]]:
    """Read the entries of some manifests.

    Args:
        paths: The manifests.
        group_by: Field that says an entry's group; where it is missing the group is the
            manifest's name.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            # Not splitlines(): it breaks at characters that JSON allows within a string.
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            problems.append(_problem(str(path), f"the manifest cannot be read: {reason}"))
            continue
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            found = _read_line(path, line, group_by)
            if isinstance(found, str):
                problems.append(_problem(f"{path}, line {number}", found))
            else:
                entries.append(found)
    return _told_apart(entries), problems


def manifest_name(path: Path) -> str:
    """Say what a manifest is called in reports."""
    return path.resolve().parent.name if path.stem == _COMMON_NAME else path.stem


def _read_line(manifest: Path, line: str, group_by: str) -> Entry | str:
    """Read one line; a sentence says what is wrong with it."""
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        return f"the line is not JSON ({error})"
    if not isinstance(fields, dict):
        return "the line is not a JSON object"
    audio, text = fields.get("audio"), fields.get("text")
    if not isinstance(audio, str) or not audio:
        return 'the line has no "audio", the path of a recording'
    if not isinstance(text, str):
        return f'{audio} has no "text", what is said in it'
    if not text.strip():
        return f'{audio} has an empty "text"; without a reference nothing can be compared'
    name = manifest_name(manifest)
    return Entry(
        name=f"{name}/{audio}",
        path=manifest.parent / audio,
        text=text,
        speaker=_optional(fields, "speaker"),
        group=_optional(fields, group_by) or name,
    )


def _optional(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return "" if value is None else str(value)


def _told_apart(entries: Sequence[Entry]) -> list[Entry]:
    """Number the entries that would have the name of an earlier one."""
    seen: Counter[str] = Counter()
    named = []
    for entry in entries:
        seen[entry.name] += 1
        number = seen[entry.name]
        name = entry.name if number == 1 else f"{entry.name}#{number}"
        named.append(Entry(name, entry.path, entry.text, entry.speaker, entry.group))
    return named


def _problem(where: str, sentence: str) -> Problem:
    return Problem(where, sentence, ExitCode.NOT_AUDIO)
