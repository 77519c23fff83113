"""Statuses become sentences."""

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from client.errors import from_status, no_server


def details(*messages):
    packed = []
    for message in messages:
        detail = any_pb2.Any()
        detail.Pack(message)
        packed.append(detail)
    return (("grpc-status-details-bin", status_pb2.Status(details=packed).SerializeToString()),)


def test_reason_is_found_among_other_details():
    """The reason is that of ErrorInfo, wherever it stands among the details."""
    error = from_status(
        "host:1",
        "UNAVAILABLE",
        "full",
        (
            ("other", "text"),
            *details(
                error_details_pb2.RetryInfo(),
                error_details_pb2.ErrorInfo(reason="NO_FREE_SLOT", domain="asr.v1"),
            ),
        ),
    )
    assert (error.reason, error.server_full, error.server_away) == ("NO_FREE_SLOT", True, False)
    assert str(error) == "full (UNAVAILABLE, NO_FREE_SLOT)"


@pytest.mark.parametrize("value", [b"\xff\xff\xff", b"", "text"])
def test_garbage_details(value):
    """Details that cannot be read leave the status as it is."""
    error = from_status("host:1", "NOT_FOUND", "gone", (("grpc-status-details-bin", value),))
    assert str(error) == "gone (NOT_FOUND)"


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("UNAVAILABLE", "the connection to host:1 was lost"),
        ("UNIMPLEMENTED", "host:1 answers, but does not offer asr.v1.SpeechService"),
        ("INTERNAL", "the server failed; its log says more"),
    ],
)
def test_advice_where_the_server_gave_none(code, advice):
    """A status that the transport made up is explained."""
    error = from_status("host:1", code, "Socket closed", ())
    assert str(error).startswith(advice)
    assert str(error).endswith(f": Socket closed ({code})")


def test_no_message():
    """A status without a message still says its code."""
    assert str(from_status("host:1", "ABORTED", "", ())) == "ABORTED"


def test_no_server_names_the_command():
    """The error for an absent server says how to start one there."""
    assert "python -m service --listen [::1]:7" in str(no_server("[::1]:7"))
