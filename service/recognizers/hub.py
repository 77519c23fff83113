"""Models by their id on a model hub: downloaded once, or a sentence that helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub import errors as hub_errors

from service.recognizers.base import ModelUnavailableError


def is_id(name: str) -> bool:
    """Whether a name reads OWNER/NAME, and is no path."""
    return name.count("/") == 1 and name[0] not in "./~"


def download(name: str, spec: str, wanted: Sequence[str], unwanted: Sequence[str] = ()) -> Path:
    """Return a folder with a model's files; those that are not on this machine are downloaded.

    A copy that is whole is taken as it is, without asking the hub. A download shows its
    progress on standard error; files that are whole are kept if it breaks off.

    Args:
        name: OWNER/NAME on the hub.
        spec: How the user may write the path of a folder instead.
        wanted: Patterns of file names.
        unwanted: Patterns of file names that are left out all the same.

    Raises:
        ModelUnavailableError: says what to do.
    """
    try:
        return Path(_snapshot(name, wanted, unwanted, is_local=True))
    except (hub_errors.HFValidationError, OSError):
        pass  # Not there, or in part.
    hub = constants.ENDPOINT
    try:
        return Path(_snapshot(name, wanted, unwanted, is_local=False))
    except hub_errors.GatedRepoError as error:
        raise ModelUnavailableError(
            f"{name} is gated: ask for access at {hub}/{name}, then log in with "
            "`hf auth login` or set HF_TOKEN"
        ) from error
    except (hub_errors.RepositoryNotFoundError, hub_errors.HFValidationError) as error:
        raise ModelUnavailableError(
            f"{hub} has no model {name}, or it is private; check the id, or log in with "
            "`hf auth login` or set HF_TOKEN"
        ) from error
    except hub_errors.IncompleteSnapshotError as error:
        raise ModelUnavailableError(
            f"{name} is on this machine in part only, and {hub} cannot be reached; connect to "
            f"the network and start again, which downloads the rest. {_elsewhere(spec)}"
        ) from error
    except hub_errors.LocalEntryNotFoundError as error:
        cause = error.__cause__ or error
        if isinstance(cause, hub_errors.HfHubHTTPError):
            raise ModelUnavailableError(_refused(name, cause)) from error
        raise ModelUnavailableError(_not_here(name, spec, cause)) from error
    except hub_errors.HfHubHTTPError as error:
        raise ModelUnavailableError(_refused(name, error)) from error
    except Exception as error:  # The hub's libraries fail in ways that share no base class.
        raise ModelUnavailableError(
            f"the download of {name} from {hub} broke off ({type(error).__name__}); start "
            f"again: files that are whole are kept. {_elsewhere(spec)}"
        ) from error


def files_of(name: str) -> tuple[str, ...]:
    """Return the names of all files of a model on the hub, empty if they cannot be had."""
    try:
        return tuple(huggingface_hub.list_repo_files(name))
    except Exception:  # noqa: BLE001  (as above; it only makes a sentence better)
        return ()


def _snapshot(name: str, wanted: Sequence[str], unwanted: Sequence[str], *, is_local: bool) -> str:
    return str(
        huggingface_hub.snapshot_download(
            name,
            allow_patterns=list(wanted),
            ignore_patterns=list(unwanted),
            local_files_only=is_local,
        )
    )


def _not_here(name: str, spec: str, cause: BaseException) -> str:
    if constants.HF_HUB_OFFLINE:
        return (
            f"{name} is not on this machine, and HF_HUB_OFFLINE forbids to download it; "
            f"unset it. {_elsewhere(spec)}"
        )
    return (
        f"{name} is not on this machine, and {constants.ENDPOINT} cannot be reached "
        f"({type(cause).__name__}); connect to the network. {_elsewhere(spec)}"
    )


def _refused(name: str, error: hub_errors.HfHubHTTPError) -> str:
    status = error.response.status_code
    if status in {401, 403}:
        return (
            f"{constants.ENDPOINT} does not accept your token for {name} (status {status}); log in "
            "with `hf auth login`, or set HF_TOKEN to one that may read it"
        )
    return f"{constants.ENDPOINT} did not give {name} (status {status}); try again later"


def _elsewhere(spec: str) -> str:
    return f"Or download it elsewhere and give the path of its folder as {spec}"
