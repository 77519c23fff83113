"""Models by their id, from a hub on loopback, in processes that see no other hub."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recognizers.fake_hub import COMMIT, FakeHub, run_python, serving

pytestmark = pytest.mark.timeout(400)
"""Each process imports torch anew."""

SMALL_CTC = Path(__file__).parent / "small_ctc"
WEIGHTS = "model.safetensors"

FETCH = """
from service.recognizers.base import ModelUnavailableError
from service.recognizers import hub
try:
    print(hub.download({name!r}, "transformers:PATH",
                       ["*.json", "*.safetensors"]))
except ModelUnavailableError as error:
    print("unavailable:", error)
"""
LOAD = """
from service.recognizers.base import ModelUnavailableError
from service.recognizers.registry import load, parse_spec
try:
    recognizer = load(parse_spec({spec!r}), 1, 1)
except ModelUnavailableError as error:
    print("unavailable:", error)
else:
    print("loaded", recognizer.capabilities.languages)
"""


@pytest.fixture
def hub(tmp_path) -> Iterator[FakeHub]:
    folder = tmp_path / "small"
    folder.mkdir()
    for file in SMALL_CTC.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    (folder / "README.md").write_text("not downloaded")
    with serving(FakeHub({"owner/small": folder, "owner/gated": folder}, {"owner/gated"})) as hub:
        yield hub


def _fetch(hub: FakeHub, home: Path, name: str = "owner/small", **more: str):
    result = run_python(FETCH.format(name=name), hub.environment(home, **more))
    assert result.returncode == 0, result.stderr
    return result


def test_a_model_is_loaded_by_its_id(hub, tmp_path):
    """It is downloaded once with its progress shown; then it loads though the hub is gone."""
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    home = tmp_path / "home"
    code = LOAD.format(spec="transformers:owner/small?precision=fp32&language=en")
    first = run_python(code, hub.environment(home))
    assert first.stdout == "loaded ('en',)\n", first.stderr
    assert "%|" in first.stderr
    assert not any("README" in path for path in hub.asked)
    hub.asked.clear()
    offline = run_python(code, hub.environment(home, HF_HUB_OFFLINE="1"))
    assert offline.stdout == "loaded ('en',)\n", offline.stderr
    again = run_python(code, hub.environment(home))
    assert again.stdout == "loaded ('en',)\n", again.stderr
    assert hub.asked == []


def test_an_unknown_id(hub, tmp_path):
    """The hub answers as for a private model, and so does the sentence."""
    said = _fetch(hub, tmp_path, "owner/unknown").stdout
    assert f"{hub.address} has no model owner/unknown, or it is private" in said
    assert "hf auth login" in said


def test_a_gated_model(hub, tmp_path):
    """Where to ask for access, and how to log in."""
    said = _fetch(hub, tmp_path, "owner/gated").stdout
    assert f"owner/gated is gated: ask for access at {hub.address}/owner/gated" in said
    assert "HF_TOKEN" in said


def test_no_network(hub, tmp_path):
    """An address where nothing listens; the remedy is the network, or a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        said = _fetch(hub, tmp_path, HF_ENDPOINT=address).stdout
    assert f"owner/small is not on this machine, and {address} cannot be reached" in said
    assert "as transformers:PATH" in said


def test_offline_by_setting(hub, tmp_path):
    """HF_HUB_OFFLINE is named, for it may stand in a forgotten profile."""
    said = _fetch(hub, tmp_path, HF_HUB_OFFLINE="1").stdout
    assert "HF_HUB_OFFLINE forbids to download it; unset it" in said
    assert hub.asked == []


@pytest.mark.parametrize(("status", "said"), [(403, "does not accept your token"), (500, "500")])
def test_a_hub_that_refuses(hub, tmp_path, status, said):
    """The status is told, and what can be done about it."""
    hub.fails["owner/small"] = status
    answer = _fetch(hub, tmp_path, HF_TOKEN="hf_wrong").stdout
    assert answer.startswith("unavailable:")
    assert said in answer


def test_a_download_that_breaks_off_is_taken_up_again(hub, tmp_path):
    """A connection that breaks goes on where it was; the whole file arrives."""
    hub.breaks[WEIGHTS] = 1
    folder = Path(_fetch(hub, tmp_path).stdout.strip())
    assert (folder / WEIGHTS).read_bytes() == (SMALL_CTC / WEIGHTS).read_bytes()
    assert sum(asked == f"GET {_path(WEIGHTS)}" for asked in hub.asked) == 2


def _path(file: str) -> str:
    return f"/owner/small/resolve/{COMMIT}/{file}"


def test_what_was_downloaded_in_part(hub, tmp_path):
    """Without a network the sentence says that a part is missing; with it only that is fetched."""
    folder = Path(_fetch(hub, tmp_path).stdout.strip())
    (folder / WEIGHTS).resolve().unlink()
    (folder / WEIGHTS).unlink()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        said = _fetch(hub, tmp_path, HF_ENDPOINT=address).stdout
    assert f"is on this machine in part only, and {address} cannot be reached" in said
    hub.asked.clear()
    assert Path(_fetch(hub, tmp_path).stdout.strip()) == folder
    assert [asked for asked in hub.asked if asked.startswith("GET /owner")] == [
        f"GET {_path(WEIGHTS)}"
    ]


def test_weights_as_a_pickle_only(hub, tmp_path):
    """It is told apart from a repository without weights, and nothing of it is downloaded."""
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    folder = hub.repositories["owner/small"]
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    code = LOAD.format(spec="transformers:owner/small")
    said = run_python(code, hub.environment(tmp_path)).stdout
    assert "owner/small has its weights as a pickle only" in said
    assert "?weights=any" in said
    assert not any("pytorch_model" in asked for asked in hub.asked)
    (folder / "pytorch_model.bin").unlink()
    said = run_python(code, hub.environment(tmp_path / "other")).stdout
    assert "owner/small holds no weights" in said


def test_an_adapter_is_downloaded_for_its_language_alone(tmp_path):
    """Of a repository with weights for many languages, one language is fetched."""
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    from tests.recognizers.families import write_mms

    folder = write_mms(tmp_path / "mms")
    with serving(FakeHub({"owner/mms": folder})) as hub:
        code = LOAD.format(spec="transformers:owner/mms?precision=fp32&language=deu")
        result = run_python(code, hub.environment(tmp_path / "home"))
    assert result.stdout == "loaded ('deu',)\n", result.stderr
    assert any("adapter.deu" in asked for asked in hub.asked)
    assert not any("adapter.eng" in asked for asked in hub.asked)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("owner/unknown", "has no model owner/unknown"),
        ("owner/gated", "owner/gated is gated"),
        ("owner/small", "is not a Whisper model of CTranslate2: model.bin"),
        ("small.en", "has no model Systran/faster-whisper-small.en"),
    ],
)
def test_whisper_says_the_same(hub, tmp_path, name, said):
    """Sizes and ids of the default recognizer go the same way."""
    result = run_python(LOAD.format(spec=f"whisper:{name}"), hub.environment(tmp_path))
    assert said in result.stdout, result.stderr


def test_a_whisper_by_its_id(tmp_path):
    """The default recognizer's files, from a hub, with their progress shown."""
    from service.recognizers.whisper_folder import bundled_folder

    with serving(FakeHub({"owner/whisper": bundled_folder()})) as hub:
        code = LOAD.format(spec="whisper:owner/whisper")
        first = run_python(code, hub.environment(tmp_path))
        assert first.stdout == "loaded ('en',)\n", first.stderr
        assert "%|" in first.stderr
    again = run_python(code, hub.environment(tmp_path))
    assert again.stdout == "loaded ('en',)\n", again.stderr
