"""From the command line to the report."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from client.access import AccessError
from client.cli import ExitCode, Interrupts, connection, exit_code_of, run
from client.evaluation import preparation, recordings, report, terminal, thresholds
from client.evaluation.conditions import ConditionError
from client.evaluation.manifest import Entry, Problem, read_manifests
from client.evaluation.options import REALTIME, parse
from client.evaluation.page import make_page
from client.evaluation.run import Item, Run, System, plan
from client.pace import WallClock
from client.sources import SourceError
from client.stream import RecognitionError, StreamingConfig

_GRAVEST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.SERVER_AWAY,
    ExitCode.FAILED,
    ExitCode.REJECTED,
    ExitCode.NOT_AUDIO,
    thresholds.MISSED,
)
"""Which exit code wins. A figure of a part of the clips is no ground to praise or blame."""


class _RefusedError(Exception):
    """The run cannot begin. `str()` of it is a sentence for people."""

    def __init__(self, sentence: str, exit_code: ExitCode) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def evaluate(arguments: Sequence[str] | None) -> int:
    """Run the program; returns its exit code."""
    return run(_evaluate(parse(arguments)), "client.evaluate")


async def _evaluate(options: argparse.Namespace) -> int:
    try:
        for file in filter(None, (options.json, options.html)):
            _check_writable(file)
        baseline = thresholds.read_baseline(options.baseline) if options.baseline else None
        clips, problems = _clips(options)
        entries = [entry for entry, _ in clips]
        preparation.check(options.conditions, entries)
        async with AsyncExitStack() as connections:
            systems = await _systems(options, connections)
            running = Run(
                systems,
                preparation.Preparation(entries, options.seed),
                WallClock(),
                paced=options.pace == REALTIME,
            )
            items = plan(len(systems), options.conditions, clips)
            interrupted = await _measure(running, items, options.streams)
    except (thresholds.BaselineError, ConditionError, AccessError) as error:
        return _complain(str(error), ExitCode.USAGE)
    except _RefusedError as error:
        return _complain(str(error), error.exit_code)
    except RecognitionError as error:
        return _complain(str(error), exit_code_of(error))
    problems += running.problems
    found = _report(options, systems, running, problems, baseline)
    codes: list[int] = [problem.exit_code for problem in problems]
    codes += [thresholds.MISSED for verdict in found.verdicts if not verdict.met]
    codes += [ExitCode.INTERRUPTED] if interrupted else []
    codes += _write(options.json, lambda: report.to_json(found))
    codes += _write(options.html, lambda: make_page(found, _player(running)))
    # Last: whatever becomes of standard output, the files are there.
    codes += _show(found)
    return next((code for code in _GRAVEST_FIRST if code in codes), ExitCode.OK)


def _clips(options: argparse.Namespace) -> tuple[list[tuple[Entry, float]], list[Problem]]:
    """Find the clips that can be streamed, with their lengths."""
    entries, problems = read_manifests(options.manifests, options.group_by)
    if options.limit and options.limit < len(entries):
        entries = [entries[i * len(entries) // options.limit] for i in range(options.limit)]
    normalize = options.normalizer.load()
    clips = []
    for entry in entries:
        try:
            duration_s = recordings.duration_s(entry.path)
        except SourceError as error:
            problems.append(Problem(entry.name, str(error), ExitCode.NOT_AUDIO))
            continue
        if normalize(entry.text):
            clips.append((entry, duration_s))
        else:
            sentence = f"{entry.text!r} is empty once it is normalized; there is no reference"
            problems.append(Problem(entry.name, sentence, ExitCode.NOT_AUDIO))
    return clips, problems


async def _systems(options: argparse.Namespace, connections: AsyncExitStack) -> list[System]:
    """Connect to what is to be tested, and see to it that it is there."""
    wanted = [(options.server, options.model)]
    if options.against_server is not None or options.against_model is not None:
        other_model = options.model if options.against_model is None else options.against_model
        wanted.append((options.against_server or options.server, other_model))
    systems = []
    for server, model in wanted:
        client = await connections.enter_async_context(connection(options, server))
        models = await client.models()
        chosen = next((m for m in models if m.name == model), None) if model else models[0]
        if chosen is None:
            names = ", ".join(m.name for m in models)
            raise _RefusedError(
                f"{server} has no model {model!r}; it has: {names}", ExitCode.REJECTED
            )
        config = StreamingConfig(
            model=chosen.name,
            language_code=options.language,
            # Without pace interims mean nothing, and cost the server much.
            interim_results=options.pace == REALTIME,
            word_offsets=chosen.word_offsets,
        )
        # The server is a part of the name only where it tells two apart: names are long enough.
        name = chosen.name if options.against_server is None else f"{chosen.name} at {server}"
        systems.append(System(name, client, config))
    if len({system.name for system in systems}) < len(systems):
        raise _RefusedError("both systems are the same model of the same server", ExitCode.USAGE)
    return systems


async def _measure(running: Run, items: Sequence[Item], streams: int) -> bool:
    """Stream everything under a progress bar; returns whether Ctrl-C ended it early."""
    with terminal.progress(sum(item.duration_s for item in items)) as advance:
        running.on_done = lambda item: advance(item.entry.name, item.duration_s)
        with Interrupts(running.stop) as interrupts:
            await running.measure(items, streams)
    return interrupts.interrupted


def _report(
    options: argparse.Namespace,
    systems: Sequence[System],
    running: Run,
    problems: Sequence[Problem],
    baseline: thresholds.Baseline | None,
) -> report.Report:
    names = [system.name for system in systems]
    labels = [condition.label for condition in options.conditions]
    clips = report.score(running.takes, names, options.normalizer.load())
    results = report.results(clips, names, options.conditions, options.seed)

    def errors(system: str, label: str) -> tuple[str, dict[str, report.ClipErrors]]:
        return system, report.errors_by_clip(clips, system, label)

    between = [
        report.difference(label, errors(names[0], label), errors(other, label), options.seed)
        for label in labels
        for other in names[1:]
    ]
    since = [
        report.difference(
            label,
            (f"{thresholds.BASELINE}: {baseline.system}", baseline.errors.get(label, {})),
            errors(names[0], label),
            options.seed,
        )
        for label in labels
        if baseline
    ]
    rises = [found for found in since if found]
    own = [result for result in results if result.system == names[0]]
    return report.Report(
        settings=_settings(options, systems),
        methods=report.methods(options.normalizer),
        results=tuple(results),
        differences=(*(found for found in between if found), *rises),
        verdicts=tuple(thresholds.judge(options.limits, own, rises, labels)),
        problems=tuple(problems),
        clips=tuple(clips),
    )


def _settings(options: argparse.Namespace, systems: Sequence[System]) -> dict[str, Any]:
    return {
        "systems": [
            {"name": system.name, "server": system.client.server, "model": system.config.model}
            for system in systems
        ],
        "manifests": [str(path) for path in options.manifests],
        "conditions": [condition.label for condition in options.conditions],
        "language": options.language,
        "streams": options.streams,
        "pace": options.pace,
        "seed": options.seed,
        "limits": options.limits,
    }


def _player(running: Run) -> Callable[[report.Clip], bytes | None]:
    """Make what plays clips again, as they were streamed."""
    items = {(t.item.entry.name, t.item.condition.label): t.item for t in running.takes}

    def play(clip: report.Clip) -> bytes | None:
        item = items[clip.name, clip.condition]
        try:
            return recordings.to_flac(running.preparation.pcm(item.entry, item.condition))
        except SourceError:
            return None

    return play


def _check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, without leaving a trace of having tried."""
    if path.is_dir():
        reason = "it is a directory"
    elif not path.parent.is_dir():
        reason = f"there is no directory {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = "it is not permitted"
    else:
        return
    raise _RefusedError(f"{path} cannot be written: {reason}", ExitCode.FAILED)


def _write(path: Path | None, content: Callable[[], str]) -> list[ExitCode]:
    """Write a file where one is wanted; returns the exit code of a failure."""
    if path is None:
        return []
    try:
        # Half a surrogate, as of a name that is not UTF-8, becomes what JSON calls it.
        path.write_text(content(), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return [_complain(f"{path} cannot be written: {error.strerror}", ExitCode.FAILED)]
    return []


def _show(found: report.Report) -> list[ExitCode]:
    """Print the tables; returns the exit code of a failure."""
    try:
        terminal.show(found)
    except BrokenPipeError:
        # Whoever read them had enough.
        return []
    except OSError as error:
        return [_complain(f"the tables cannot be printed: {error.strerror}", ExitCode.FAILED)]
    return []


def _complain(sentence: str, exit_code: ExitCode) -> ExitCode:
    print(f"client.evaluate: {sentence}", file=sys.stderr)
    return exit_code
