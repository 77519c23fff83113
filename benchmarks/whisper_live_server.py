"""WhisperLive's own server, as a process that says where it listens.

PYTHON -m benchmarks.whisper_live_server --model FOLDER

Run by the Python of the environment that benchmarks.load_peers makes; it imports nothing
of ours, and does what WhisperLive's run_server.py does with the same names.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import time

HOST = "127.0.0.1"
LONGEST_S = 3_600
"""Of a connection: longer than any run."""


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="WhisperLive with a folder of weights.")
    parser.add_argument("--model", required=True, help="folder in CTranslate2 format")
    parser.add_argument("--max-clients", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=1, help="of one decode (default: %(default)s, as there)"
    )
    parser.add_argument("--batch", action="store_true", help="decode clients together, greedily")
    options = parser.parse_args()
    # Read by CTranslate2 when the model is loaded.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)

    from whisper_live.server import TranscriptionServer

    # It has set the level to info, which is a line for every decode.
    logging.getLogger().setLevel(logging.WARNING)
    port = _free_port()
    threading.Thread(target=_say_when_ready, args=(port,), daemon=True).start()
    try:
        TranscriptionServer().run(
            HOST,
            port=port,
            backend="faster_whisper",
            faster_whisper_custom_model_path=options.model,
            single_model=True,
            max_clients=options.max_clients,
            max_connection_time=LONGEST_S,
            batch_enabled=options.batch,
            # Whoever is refused would not be measured.
            batch_max_queue_wait_s=LONGEST_S,
            batch_max_admissions_per_s=1_000,
        )
    except KeyboardInterrupt:
        sys.stdout.flush()
        # Threads of clients that are gone may still decode, and would be waited for.
        os._exit(0)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _say_when_ready(port: int) -> None:
    """WhisperLive says nothing; it is ready when it can be connected to.

    For how long it is tried is for whoever started this process: ``client.serving`` gives up.
    """
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            print(f"listening on {HOST}:{port}, models: whisper-live", flush=True)
            return


if __name__ == "__main__":
    main()
