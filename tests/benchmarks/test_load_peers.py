"""Environments of peers."""

import re
from pathlib import Path

from benchmarks.load_peers import REQUIREMENTS, cache_folder, environment_folder


def test_other_versions_are_another_folder():
    """A change of the list or of Python never runs what was made for another."""
    folders = {
        environment_folder(Path("cache"), requirements, python)
        for requirements in (b"a==1", b"a==2")
        for python in ("3.11", "3.12")
    }
    assert len(folders) == 4
    assert environment_folder(Path("cache"), b"a==1", "3.11") in folders


def test_every_version_is_pinned():
    """Two machines measure the same peer."""
    lines = REQUIREMENTS.read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert len(wanted) > 20
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in wanted)


def test_the_user_says_where_caches_are(monkeypatch, tmp_path):
    """Nothing is written into the project."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().is_relative_to(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder().is_relative_to(Path.home())
