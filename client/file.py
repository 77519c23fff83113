"""Streams recordings to a server and prints what it hears: `python -m client.file`."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

from client.access import AccessError
from client.cli import (
    EXIT_CODES_HELP,
    ExitCode,
    Interrupts,
    add_server_options,
    connection,
    exit_code_of,
    explain,
    integer,
    program_parser,
    run,
)
from client.messages import describe_ending, to_seconds
from client.output import OutputError, opened, standard_output
from client.pace import Pace
from client.prefetch import prefetched
from client.render import FORMATS, make_format
from client.screen import SETTLING, PlainScreen, Screen
from client.sources import (
    MAX_CHANNELS,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    Source,
    SourceError,
    open_raw,
    open_recording,
)
from client.stream import Client, RecognitionError, StreamingConfig
from protos.asr.v1.asr_pb2 import AudioEncoding, AudioFormat

STANDARD_INPUT = "-"
SUBTITLE_FORMATS = ("srt", "vtt")
ENCODINGS = {
    "s16le": AudioEncoding.AUDIO_ENCODING_PCM_S16LE,
    "f32le": AudioEncoding.AUDIO_ENCODING_PCM_F32LE,
    "mulaw": AudioEncoding.AUDIO_ENCODING_MULAW,
    "alaw": AudioEncoding.AUDIO_ENCODING_ALAW,
}

DEFAULT_RATE_HZ = 16_000

REALTIME_BLOCK_S = 0.1
FAST_BLOCK_S = 0.5
"""Seconds of audio in a message: small where delay counts, larger where only the work counts."""

LONG_S = 20.0
"""A recording from which on a progress bar is worth drawing."""

NOTABLE_LATENESS_S = 0.5
"""Lateness in real-time mode from which on the user is told."""

_DESCRIPTION = """\
Stream recordings to a speech recognition server and print what it hears. Results go to standard
output, everything else to standard error."""

_EPILOG = """\
examples:
  python -m client.file talk.flac                        the text, a line per segment
  python -m client.file --realtime --interim talk.flac   as if it were spoken now
  python -m client.file --format srt talk.mp3 > talk.srt
  python -m client.file --format vtt --output-dir subtitles *.wav
  python -m client.file --format json talk.flac | jq -r '.final_result.text // empty'
  arecord -t raw -f S16_LE -r 16000 | python -m client.file --interim -

WAV, FLAC, OGG, MP3 and whatever else libsndfile reads; where ffmpeg is installed other formats too,
and files that were joined or whose header was never completed.

""" + EXIT_CODES_HELP.format(
    source="a file is missing, or is not audio (the others are still done)",
    interrupted="Ctrl-C: once prints what was heard so far, twice leaves at once",
)


def make_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = program_parser("file", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help='recordings; "-" is raw audio on standard input'
    )
    add_server_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--format", choices=FORMATS, default="text", help="(default: %(default)s)")
    output.add_argument(
        "--interim", action="store_true", help="show text while it is still being spoken"
    )
    output.add_argument(
        "--times",
        action="store_true",
        help="begin lines of text with their times (always so on a terminal)",
    )
    output.add_argument(
        "--words", action="store_true", help="ask for the times of words (seen in json)"
    )
    output.add_argument(
        "--output-dir",
        metavar="DIR",
        type=Path,
        help="write a file for each recording, DIR/NAME.FORMAT, instead of standard output",
    )
    sending = parser.add_argument_group("sending")
    sending.add_argument(
        "--realtime",
        action="store_true",
        help="send as fast as it was spoken, not as fast as the server takes it",
    )
    raw = parser.add_argument_group('raw audio, for "-"')
    raw.add_argument(
        "--rate",
        metavar="HZ",
        type=integer(MIN_RATE_HZ, MAX_RATE_HZ),
        help=f"samples a second, {MIN_RATE_HZ} to {MAX_RATE_HZ} (default: {DEFAULT_RATE_HZ})",
    )
    raw.add_argument(
        "--channels",
        metavar="N",
        type=integer(1, MAX_CHANNELS),
        help=f"interleaved channels, 1 to {MAX_CHANNELS} (default: 1)",
    )
    raw.add_argument("--encoding", choices=ENCODINGS, help="(default: s16le)")
    return parser


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; leaves with a message where it makes no sense."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    raw_options = (options.rate, options.channels, options.encoding)
    if STANDARD_INPUT not in options.paths and raw_options != (None, None, None):
        parser.error('--rate, --channels and --encoding describe raw audio; the path is then "-"')
    if options.paths.count(STANDARD_INPUT) > 1:
        parser.error("standard input can be read only once")
    if options.format in SUBTITLE_FORMATS and len(options.paths) > 1 and not options.output_dir:
        parser.error(
            f"{options.format} of several recordings needs --output-dir DIR: "
            "in one file their times would begin again in the middle"
        )
    outputs = [_output_path(options, path) for path in options.paths]
    if options.output_dir and len(set(outputs)) < len(outputs):
        parser.error("two recordings have the same name, so they would have the same output file")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(transcribe_all(parse(arguments)), "client.file")


async def transcribe_all(options: argparse.Namespace) -> int:
    """Transcribe every recording; returns the exit code of the first that failed."""
    first_failure = ExitCode.OK
    try:
        async with connection(options) as client:
            config = await _config(client, options)
            for path in options.paths:
                code = await _transcribe_path(client, config, options, path)
                if code in (ExitCode.INTERRUPTED, ExitCode.SERVER_AWAY):
                    return code
                first_failure = first_failure or code
    except AccessError as error:
        print(f"client.file: {error}", file=sys.stderr)
        return ExitCode.USAGE
    except RecognitionError as error:
        print(f"client.file: {error}", file=sys.stderr)
        return exit_code_of(error)
    return first_failure


async def _config(client: Client, options: argparse.Namespace) -> StreamingConfig:
    """Say how to recognize, whatever the format of the audio."""
    words: bool = options.words
    if options.format in SUBTITLE_FORMATS:
        # Cues are better cut at words, but a model that cannot place them refuses to be asked.
        models = await client.models()
        chosen = [model for model in models if model.name == options.model] or models[:1]
        words = words or (bool(chosen) and chosen[0].word_offsets)
    return StreamingConfig(
        model=options.model,
        language_code=options.language,
        interim_results=options.interim or (options.realtime and sys.stderr.isatty()),
        word_offsets=words,
    )


async def _transcribe_path(
    client: Client, config: StreamingConfig, options: argparse.Namespace, path: str
) -> ExitCode:
    """Transcribe one recording and tell what went wrong with it, if anything."""
    try:
        return await _transcribe(client, config, options, path, _open(options, path))
    except SourceError as error:
        print(f"client.file: {error}", file=sys.stderr)
        return ExitCode.NOT_AUDIO
    except OutputError as error:
        # Where standard output fails for one recording it fails for all.
        if not options.output_dir:
            raise
        print(f"client.file: {error}", file=sys.stderr)
        return ExitCode.FAILED
    except RecognitionError as error:
        sentence = await explain(error, client)
        print(f"client.file: {path}: {sentence}", file=sys.stderr)
        return exit_code_of(error)


async def _transcribe(
    client: Client,
    config: StreamingConfig,
    options: argparse.Namespace,
    path: str,
    source: Source,
) -> ExitCode:
    """Stream one recording; sending and reading go on at the same time."""
    label = path if len(options.paths) > 1 and not options.output_dir else ""
    own_config = StreamingConfig(audio_format=source.audio_format)
    own_config.MergeFrom(config)
    block_s = REALTIME_BLOCK_S if options.realtime else FAST_BLOCK_S
    blocks = prefetched(lambda: source.blocks(block_s))
    pace = Pace(source.bytes_per_s)
    # An older transcript goes only once the server has granted the stream for a newer one.
    async with client.stream(own_config) as stream:
        with (
            _output(options, path) as output,
            _screen(options, source, output) as screen,
            Interrupts(stream.finish) as interrupts,
        ):
            times = options.times or output.isatty()
            form = make_format(options.format, label=label, times=times)
            screen.results(form.begin())
            stream.feed(pace.follow(blocks) if options.realtime else blocks)
            async for transcript in stream:
                if transcript.HasField("interim_result"):
                    screen.interim(transcript.interim_result)
                elif transcript.WhichOneof("event") in SETTLING:
                    screen.settled()
                elif transcript.HasField("stream_ending"):
                    screen.note(f"client.file: {describe_ending(transcript.stream_ending)}")
                screen.progress(to_seconds(transcript.processed_offset))
                screen.results(form.add(transcript))
            if options.realtime and pace.worst_lateness_s > NOTABLE_LATENESS_S:
                screen.note(
                    f"client.file: {source.name}: sending fell {pace.worst_lateness_s:.1f} s "
                    "behind real time; the server took audio more slowly than it was spoken"
                )
    return ExitCode.INTERRUPTED if interrupts.interrupted else ExitCode.OK


def _open(options: argparse.Namespace, path: str) -> Source:
    if path != STANDARD_INPUT:
        return open_recording(path)
    audio_format = AudioFormat(
        encoding=ENCODINGS[options.encoding or "s16le"],
        sample_rate_hertz=options.rate or DEFAULT_RATE_HZ,
        channel_count=options.channels or 1,
    )
    # Python has none where the shell closed it.
    if sys.stdin is None:
        raise SourceError("standard input is closed, so there is nothing to read from it")
    return open_raw(sys.stdin.fileno(), "standard input", audio_format)


def _output_path(options: argparse.Namespace, path: str) -> Path:
    name = "standard-input" if path == STANDARD_INPUT else Path(path).stem
    return (options.output_dir or Path()) / f"{name}.{options.format}"


def _output(options: argparse.Namespace, path: str) -> AbstractContextManager[TextIO]:
    if options.output_dir is not None:
        return opened(_output_path(options, path))
    return nullcontext(standard_output(utf8=options.format != "text"))


def _screen(options: argparse.Namespace, source: Source, output: TextIO) -> Screen:
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        # Lines of JSON hold the interims already.
        return PlainScreen(output, interims=options.interim and options.format != "json")
    # Imported here since it takes a while and pipes have no use for it.
    from client.terminal import TerminalScreen

    long = source.duration_s is not None and source.duration_s >= LONG_S
    return TerminalScreen(output, title=source.name, duration_s=source.duration_s if long else None)


if __name__ == "__main__":
    sys.exit(main())
