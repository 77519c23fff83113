"""The command line of `python -m client.evaluate`."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from client.cli import (
    EXIT_CODES_HELP,
    add_server_options,
    integer,
    program_parser,
    server_address,
)
from client.evaluation.accuracy import Normalizer
from client.evaluation.conditions import ConditionError, conditions_help, parse_conditions
from client.evaluation.thresholds import MISSED, THRESHOLDS, WER_RISE

MAX_STREAMS = 1000
REALTIME = "realtime"

_DESCRIPTION = """\
Stream recordings whose words are known through a running server, at the pace of speech, and report
how accurate, how quick and how steady it is. Tables go to standard output."""

_EPILOG = """\
manifests are JSON lines; paths are relative to the manifest, speaker and group may be missing:
  {{"audio": "clips/1.flac", "text": "What is said in it.", "speaker": "ann", "group": "accented"}}

conditions (each --condition is tried on every clip; "+" puts several into one; a list of values
makes a condition of each):
  clean
{conditions}

examples:
  python -m client.evaluate samples/manifest.jsonl
      one stream, the default model, clean audio

  python -m client.evaluate tests.jsonl --streams 4 --json now.json --html report.html
      four people at once; figures for machines, and a page with charts and audio

  python -m client.evaluate tests.jsonl --condition clean --condition noise:cafe.wav:snr=20,10,5,0
      how the error rate grows with noise

  python -m client.evaluate tests.jsonl --condition babble:snr=10+telephone+codec:mulaw
      a noisy place at the other end of a telephone line

  python -m client.evaluate tests.jsonl --against-model wav2vec2
      two models of one server, clip by clip, and whether the difference is more than chance

  python -m client.evaluate tests.jsonl --baseline last.json --max-wer-rise 0.5 --max-retractions 0
      for CI: exit code 6 where the error rate is half a point above the last report's

{exit_codes}"""

_EXIT_CODES = EXIT_CODES_HELP.format(
    source="a clip was not measured: no such file, not audio, no reference (the rest is)",
    interrupted="Ctrl-C: once reports what was measured so far, twice leaves at once",
).replace("\n  130", f"\n  {MISSED}    all was measured, and a threshold is missed\n  130")


def make_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    epilog = _EPILOG.format(conditions=conditions_help(), exit_codes=_EXIT_CODES)
    parser = program_parser("evaluate", _DESCRIPTION, epilog)
    parser.add_argument("manifests", metavar="MANIFEST", nargs="+", type=Path, help="JSON lines")
    add_server_options(parser)
    _add_streaming_options(parser.add_argument_group("streaming"))
    _add_comparison_options(parser.add_argument_group("comparison"))
    _add_threshold_options(
        parser.add_argument_group("thresholds, for --model at --server under every condition")
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", type=Path, help="write everything for machines")
    output.add_argument("--html", metavar="FILE", type=Path, help="write a page with charts")
    return parser


def _add_streaming_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--streams",
        metavar="N",
        type=integer(1, MAX_STREAMS),
        default=1,
        help="clips that are spoken at the same time (default: %(default)s)",
    )
    group.add_argument(
        "--pace",
        choices=(REALTIME, "fast"),
        default=REALTIME,
        help="fast sends as the server takes it and measures accuracy alone (default: %(default)s)",
    )
    group.add_argument(
        "--condition",
        metavar="SPEC",
        action="append",
        default=[],
        help="what is done to the audio, see below; may be repeated (default: clean)",
    )
    group.add_argument(
        "--seed",
        metavar="N",
        type=integer(0, 2**31),
        default=1,
        help="chooses the chance in conditions and confidence intervals (default: %(default)s)",
    )
    group.add_argument(
        "--limit",
        metavar="N",
        type=integer(1, 10**9),
        help="take only so many clips, spread over the manifests",
    )
    group.add_argument(
        "--group-by",
        metavar="FIELD",
        default="group",
        help="field of the manifest that says a clip's group, such as speaker; clips without it "
        "are of the manifest's group (default: %(default)s)",
    )
    group.add_argument(
        "--normalizer",
        choices=[str(name) for name in Normalizer],
        help="how texts are made alike (default: english where --language is English or not "
        "given, otherwise basic)",
    )


def _add_comparison_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--against-server",
        metavar="HOST:PORT",
        type=server_address,
        help="stream everything to this server as well",
    )
    group.add_argument(
        "--against-model", metavar="NAME", help="stream everything to this model as well"
    )
    group.add_argument(
        "--baseline", metavar="FILE", type=Path, help="compare with what --json wrote earlier"
    )


def _add_threshold_options(group: argparse._ArgumentGroup) -> None:
    for threshold in THRESHOLDS:
        group.add_argument(
            f"--{threshold.option}",
            metavar=threshold.unit,
            type=_finite_number,
            help=threshold.help,
        )
    group.add_argument(
        f"--{WER_RISE}",
        metavar="POINTS",
        type=_finite_number,
        help="word error rate above the baseline's",
    )


def _finite_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; leaves with a message where it makes no sense."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        options.conditions = parse_conditions(options.condition)
    except ConditionError as error:
        parser.error(str(error))
    options.limits = {
        name: limit
        for name in [*(threshold.option for threshold in THRESHOLDS), WER_RISE]
        if (limit := getattr(options, name.replace("-", "_"))) is not None
    }
    if WER_RISE in options.limits and options.baseline is None:
        parser.error(f"--{WER_RISE} compares with a report; name it with --baseline FILE")
    if options.against_server == options.server and options.against_model is None:
        parser.error("--against-server is the same server; name another model of it as well")
    if options.normalizer is None:
        english = not options.language or options.language.lower().partition("-")[0] == "en"
        options.normalizer = Normalizer.ENGLISH if english else Normalizer.BASIC
    options.normalizer = Normalizer(options.normalizer)
    return options
