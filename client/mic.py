"""Streams the microphone to a server and shows what it hears: `python -m client.mic`."""

import argparse
import os
import sys
from collections.abc import Sequence
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
    program_parser,
    run,
)
from client.messages import describe_ending
from client.microphone import (
    TARGET_RATE_HZ,
    AudioSystem,
    Capture,
    Device,
    MicrophoneError,
    choose_device,
    choose_settings,
)
from client.output import standard_output, write
from client.portaudio import PortAudio
from client.render import Format, make_format
from client.screen import SETTLING, PlainScreen, Screen
from client.stream import Client, RecognitionError, StreamingConfig
from protos.asr.v1.asr_pb2 import AudioEncoding, AudioFormat

_DESCRIPTION = """\
Stream the microphone to a speech recognition server and show what it hears while you speak.
Finished text goes to standard output, everything else to standard error."""

_EPILOG = """\
examples:
  python -m client.mic --list-devices
  python -m client.mic                         the default microphone
  python -m client.mic --device usb            the one with "usb" in its name
  python -m client.mic --device 3 > notes.txt  the one with this number

""" + EXIT_CODES_HELP.format(
    source="no microphone can be used",
    interrupted="Ctrl-C twice; once stops listening, shows the last text and ends with 0",
)


def make_parser() -> argparse.ArgumentParser:
    """Make the command line."""
    parser = program_parser("mic", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "--device", metavar="NAME_OR_NUMBER", help="microphone; a part of its name will do"
    )
    parser.add_argument("--list-devices", action="store_true", help="list microphones and leave")
    add_server_options(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="(default: %(default)s)"
    )
    return parser


def main(arguments: Sequence[str] | None = None, system: AudioSystem | None = None) -> int:
    """Run the program; returns its exit code."""
    options = make_parser().parse_args(arguments)
    try:
        return _main(options, system or PortAudio())
    except MicrophoneError as error:
        print(f"client.mic: {error}", file=sys.stderr)
        return ExitCode.NOT_AUDIO


def _main(options: argparse.Namespace, system: AudioSystem) -> int:
    devices = system.devices()
    device = choose_device(devices, None if options.list_devices else options.device)
    if options.list_devices:
        return run(_list(devices), "client.mic")
    return run(listen(options, system, device), "client.mic")


async def _list(devices: Sequence[Device]) -> int:
    output = standard_output(utf8=False)
    for device in devices:
        write(output, describe(device) + "\n")
    return ExitCode.OK


def describe(device: Device) -> str:
    """Describe a device in a line; a star marks the default."""
    star = "*" if device.is_default else " "
    channels = f"{device.channels} channel{'s' if device.channels != 1 else ''}"
    return f"{star} {device.number:>3}  {device.name}  ({channels}, {device.rate_hz} Hz)"


async def listen(options: argparse.Namespace, system: AudioSystem, device: Device) -> int:
    """Listen until Ctrl-C; returns the exit code."""
    settings = choose_settings(system, device)
    config = StreamingConfig(
        model=options.model,
        language_code=options.language,
        interim_results=sys.stderr.isatty() or options.format == "json",
        audio_format=AudioFormat(
            encoding=AudioEncoding.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=TARGET_RATE_HZ,
            channel_count=1,
        ),
    )
    output = standard_output(utf8=options.format == "json")
    try:
        async with connection(options) as client:
            try:
                form = make_format(options.format, times=output.isatty())
                with _screen(output) as screen:
                    capture = Capture(system, device, settings, on_level=screen.level)
                    screen.note(f'listening to "{device.name}"; Ctrl-C ends')
                    await _converse(client, config, capture, form, screen)
                    _tell_losses(capture, screen)
                    return ExitCode.NOT_AUDIO if capture.device_ended else ExitCode.OK
            except RecognitionError as error:
                print(f"client.mic: {await explain(error, client)}", file=sys.stderr)
                return exit_code_of(error)
    except AccessError as error:
        print(f"client.mic: {error}", file=sys.stderr)
        return ExitCode.USAGE
    except RecognitionError as error:
        print(f"client.mic: {error}", file=sys.stderr)
        return exit_code_of(error)


async def _converse(
    client: Client, config: StreamingConfig, capture: Capture, form: Format, screen: Screen
) -> None:
    """Send what is captured and show what comes back."""

    async def stop() -> None:
        # The end of the audio half-closes the stream, after what is captured has been sent.
        capture.stop()

    async with client.stream(config) as stream:
        with Interrupts(stop):
            stream.feed(capture.blocks())
            async for transcript in stream:
                if transcript.HasField("interim_result"):
                    screen.interim(transcript.interim_result)
                elif transcript.WhichOneof("event") in SETTLING:
                    screen.settled()
                elif transcript.HasField("stream_ending"):
                    screen.note(f"client.mic: {describe_ending(transcript.stream_ending)}")
                screen.results(form.add(transcript))


def _tell_losses(capture: Capture, screen: Screen) -> None:
    """Say what of the microphone's audio the server has not heard."""
    if capture.lost_s:
        screen.note(
            f"client.mic: {capture.lost_s:.1f} s of audio were lost; "
            "the server took it more slowly than it was spoken"
        )
    if capture.device_losses:
        screen.note(
            f"client.mic: the microphone lost samples {capture.device_losses} times; "
            "this machine is too busy"
        )
    if capture.device_ended:
        screen.note("client.mic: the microphone stopped by itself; was it unplugged?")


def _screen(output: TextIO) -> Screen:
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainScreen(output)
    from client.terminal import TerminalScreen

    return TerminalScreen(output)


if __name__ == "__main__":
    sys.exit(main())
