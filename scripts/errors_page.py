"""docs/errors.md, made from the catalogue of the errors.

python -m scripts.errors_page   writes it; a test fails where it is not up to date
"""

from __future__ import annotations

from pathlib import Path

from service.rpc.catalogue import CATALOGUE
from service.rpc.status import DOMAIN

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

HEAD = f"""\
# Errors

Every call that fails ends with a gRPC status whose message says what to do, and whose details
(`grpc-status-details-bin`) hold a `google.rpc.ErrorInfo` with domain `{DOMAIN}` and one of the
reasons below. Reasons and their codes are part of the contract: new ones may come, none changes.
`ErrorInfo.metadata` repeats what varies in the message, such as the `limit`. Where `RetryInfo`
comes along, the trailer `grpc-retry-pushback-ms` says the same to gRPC's own retries.

Programs decide by the code, and where it matters by the reason:

| code | what to do |
|---|---|
| `INVALID_ARGUMENT`, `NOT_FOUND`, `UNIMPLEMENTED` | mend the request; the same one fails again |
| `UNAUTHENTICATED`, `PERMISSION_DENIED` | get another token |
| `UNAVAILABLE` | another server can take the call at once, this one after `RetryInfo` |
| `RESOURCE_EXHAUSTED` | this caller has used up its own; another server will say so too |
| `OUT_OF_RANGE` | the call has come to a limit of time; a stream's finals stand, open another |
| `INTERNAL` | the server's fault; report the id |

"""

FOOT = """
Some statuses are made by gRPC itself and have no `ErrorInfo`:

| code | when |
|---|---|
| `DEADLINE_EXCEEDED` | the client's own deadline has passed |
| `CANCELLED` | the client has cancelled the call |
| `RESOURCE_EXHAUSTED` | a message is larger than `--max-recording-bytes` and 64 KiB |
| `UNAVAILABLE` | there is no connection, it was lost, or all `--max-connections` are taken |
| `INTERNAL` | the connection carries something else than gRPC |
| `NOT_FOUND` | the health service does not know the name |

A stream that sends no audio, or nothing at all, ends with `OK` and no results. This page is made
by `python -m scripts.errors_page` from `service/rpc/catalogue.py`; `tests/rpc/test_catalogue.py`
reaches every reason over a real connection.
"""


def render() -> str:
    """Return the page."""
    rows = [
        "| code | reason | when | what to do | details |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| `{entry.code.name}` | `{reason}` | {entry.when} | {entry.remedy} "
        f"| {', '.join(f'`{detail}`' for detail in entry.details)} |"
        for reason, entry in CATALOGUE.items()
    ]
    return HEAD + "\n".join(rows) + "\n" + FOOT


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
