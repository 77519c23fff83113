"""The Dockerfile, as far as it can be judged without Docker (see scripts.image_check)."""

from pathlib import Path

import pytest

from scripts.image_check import ROOT, Dockerfile


@pytest.fixture
def dockerfile() -> Dockerfile:
    return Dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_it_copies_what_exists(dockerfile):
    """Every source is in the project, and .dockerignore lets it through."""
    passed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for name in dockerfile.copied():
        assert Path(ROOT, name).exists(), name
        assert f"!{name.removeprefix('./')}" in passed


def test_it_runs_our_own_commands(dockerfile):
    """Entry point and health check are modules of ours, in exec form, so that signals arrive."""
    assert dockerfile.command("ENTRYPOINT") == ["python", "-m", "service"]
    assert dockerfile.command("CMD") == ["--listen", "0.0.0.0:50051", "--insecure-listen"]
    health = dockerfile.command("HEALTHCHECK")
    assert health[:3] == ["python", "-m", "client.health"]
    assert health[-1] == dockerfile.environment()["ASR_HEALTH_LISTEN"]


def test_it_does_not_run_as_root(dockerfile):
    """The user is set by number, and it is not 0."""
    assert dockerfile.user() == 65532


def test_it_says_what_is_in_it(dockerfile):
    """A bill of materials of the environment lies in the image."""
    arguments = dockerfile.bill_of_materials()
    assert arguments[0] == "environment"
    assert arguments[-1] == "/opt/venv/bin/python"
    assert arguments[-2].startswith("/opt/venv/")


def test_it_installs_the_pinned_tree(dockerfile):
    """The image holds what the tests ran with, without extras."""
    assert dockerfile.installation() == ["install", "--constraint", "constraints.txt", "."]
