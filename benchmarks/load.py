"""How many streams a machine holds within its bounds on latency, beside its peers.

python -m benchmarks.load MANIFEST...
python -m benchmarks.load --peer whisper-live --peer naive --repeat 5 --json load.json MANIFEST...
python -m benchmarks.load --overload 1.5 --streams 8 --repeat 5 MANIFEST...

Rising numbers of streams, each of real speech at the pace it was spoken, without a pause
between clips, from a process of its own. A number of streams is held if

- 99 % of the interims arrive within 1 s of their newest audio
- 95 % of the flushes and half-closes are answered within 0.7 s
- no stream is refused or breaks off, no final is lost, and every final is the one that the
  same stream gets alone

``--peer`` measures others with the same weights, scripts and pace in the same run, turn by
turn. ``--server`` measures another server that speaks the contract. ``--model scripted``
leaves the model out, and what is left is transport and voice activity. ``--overload`` asks
what becomes of the streams that have a slot while too many callers come. What each column
means, and how the peers are run, stands in docs/load.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import load_overload, load_report
from benchmarks.load_figures import Figures, medians, most_held
from benchmarks.load_grpc import Endpoint
from benchmarks.load_scripts import Script, make_scripts
from benchmarks.load_systems import PEERS, WARM_UP_STREAMS, System, other, ours
from benchmarks.support import Clip, manifest_arguments, read_clips
from client.access import AccessError, add_tls_options, add_token_options, tls_of, token_of
from client.serving import ServerError

DEFAULT_MODEL = "whisper"
SHORTEST_S, LONGEST_S = 1.5, 20.0
"""Of clips that are used; longer ones would leave too few answers to count."""


def measure_all(
    systems: Sequence[System],
    scripts: Sequence[Script],
    options: argparse.Namespace,
    runs: list[Figures],
) -> None:
    """Add to the runs, and print a line for each; systems take turns at each number of streams."""
    given_up: set[str] = set()
    for streams in options.streams:
        turns: list[Figures] = []
        for repeat in range(options.repeat):
            # The order changes, lest whoever comes second has a warmer machine.
            for system in reversed(systems) if repeat % 2 else systems:
                if system.name in given_up:
                    continue
                figures, failures = system.measure(scripts[:streams], repeat)
                print(figures.line, flush=True)
                for failure in failures:
                    print(f"      {failure}")
                turns.append(figures)
                runs.append(figures)
        if options.stop:
            given_up |= {joined.system for joined in medians(turns) if not joined.is_held}


def find_most(clips: Sequence[Clip], options: argparse.Namespace, runs: list[Figures]) -> None:
    """Run the systems, warm them up, measure them, and add to the runs."""
    scripts = make_scripts(clips, max(options.streams), options.seconds)
    streams = max(len(scripts), WARM_UP_STREAMS)
    with ExitStack() as stack:
        systems = []
        if options.server:
            own = other(options.endpoint, options.model, options.server_metrics, streams)
        else:
            own = ours(options.model, options.settings, streams)
        for opening in (own, *(PEERS[name](streams) for name in dict.fromkeys(options.peer))):
            system = stack.enter_context(opening)
            system.warm_up(scripts)
            systems.append(system)
        measure_all(systems, scripts, options, runs)


def report(runs: Sequence[Figures], options: argparse.Namespace) -> None:
    """Print medians and the result; write and draw what is wanted."""
    joined = medians(runs)
    if options.repeat > 1:
        print(f"medians of {options.repeat} runs")
        for figures in joined:
            print(figures.line)
    for name, most in most_held(joined).items():
        print(f"{name}, streams within bounds: {most}")
    if options.json:
        load_report.write(load_report.report_of(runs), options.json)
    if options.plot:
        from benchmarks.load_plot import draw

        draw(joined, options.plot)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = manifest_arguments("Streams that are held within bounds on latency.")
    parser.add_argument("--server", metavar="HOST:PORT", help="a running server (default: its own)")
    parser.add_argument(
        "--server-metrics",
        default="",
        metavar="HOST:PORT",
        help="where that server has its metrics, for A",
    )
    parser.add_argument(
        "--model",
        default="",
        metavar="SPEC",
        help=f"model of its own server (default: {DEFAULT_MODEL}), or what to ask --server for "
        "(default: that server's own)",
    )
    parser.add_argument(
        "--streams",
        type=lambda text: sorted({int(part) for part in text.split(",")}),
        default=[1, 4, 8, 10, 12, 14, 16],
        metavar="N,N,...",
        help="numbers of streams to try (default: 1,4,8,10,12,14,16)",
    )
    parser.add_argument("--seconds", type=float, default=40, help="of each stream (default: 40)")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        choices=sorted(PEERS),
        help="measure this beside it, in turns; may be repeated",
    )
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="runs of each (default: %(default)s)"
    )
    parser.add_argument("--stop", action="store_true", help="stop at the first that is not held")
    parser.add_argument(
        "--overload",
        type=float,
        metavar="FACTOR",
        help="callers for each slot, such as 1.5; --streams are the slots",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="draw them there, as SVG")
    parser.add_argument("--server-option", action="append", default=[], metavar="NAME=VALUE")
    add_tls_options(parser)
    add_token_options(parser)
    options = parser.parse_args(arguments)
    if options.overload is not None and (options.overload <= 1 or options.server or options.peer):
        parser.error("--overload takes a factor above 1, and goes with neither --server nor --peer")
    try:
        options.endpoint = _endpoint(options)
    except AccessError as error:
        parser.error(str(error))
    if not options.server:
        options.model = options.model or DEFAULT_MODEL
    # argparse would take a value that begins with a dash for an option.
    options.settings = [part for one in options.server_option for part in f"--{one}".split("=", 1)]
    return options


def _endpoint(options: argparse.Namespace) -> Endpoint | None:
    """Return the server that runs somewhere; None if there is to be one of our own.

    Raises:
        AccessError: a certificate or a token cannot be used, or nobody asks for it.
    """
    tls = tls_of(options)
    if options.server:
        is_encrypted = tls is not None
        token = token_of(options, options.server, dict(os.environ), is_encrypted=is_encrypted)
        return Endpoint(options.server, tls, token)
    if tls or options.token or options.token_file:
        raise AccessError("certificates and tokens are for a --server that runs already")
    return None


def main() -> None:
    """Print the figures."""
    options = parse(sys.argv[1:])
    clips = [
        clip
        for clip in read_clips(options.manifests)
        if clip.text and SHORTEST_S <= clip.duration_s <= LONGEST_S
    ]
    runs: list[Figures] = []
    try:
        if options.overload is not None:
            load_overload.run(clips, options)
        else:
            find_most(clips, options, runs)
    except ServerError as error:
        sys.exit(str(error))
    finally:
        # Also what there is when somebody has had enough.
        if runs:
            report(runs, options)


if __name__ == "__main__":
    main()
