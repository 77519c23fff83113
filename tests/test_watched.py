"""Files that are read anew when they change."""

from __future__ import annotations

import pytest

from service.watched import FileError, Watched, read_file


class Text:
    """Reads one file, which must hold capitals, and counts how often."""

    def __init__(self, path) -> None:
        self.path = path
        self.reads = 0

    def __call__(self) -> str:
        self.reads += 1
        text = read_file(self.path).decode()
        if not text.isupper():
            raise FileError(f"{self.path} has no capitals")
        return text


@pytest.fixture
def text(tmp_path) -> Text:
    (tmp_path / "file").write_text("FIRST")
    return Text(tmp_path / "file")


def test_a_file_is_read_once_until_it_changes(text):
    """Asking costs a look at the file's time, not another reading."""
    watched = Watched("text", [text.path], text)
    assert [watched.current() for _ in range(3)] == ["FIRST"] * 3
    assert text.reads == 1
    text.path.write_text("SECOND")
    assert [watched.current() for _ in range(3)] == ["SECOND"] * 3
    assert text.reads == 2


def test_who_is_content_with_what_was_lately_gets_it(text):
    """Within the age that is asked for files are not looked at; without one they are."""
    watched = Watched("text", [text.path], text)
    text.path.write_text("SECOND")
    assert watched.current(max_age_s=1e9) == "FIRST"
    assert watched.current() == "SECOND"


def test_what_was_good_counts_while_the_file_is_bad(text):
    """Half-way through a change, and without the file, what was read before goes on to count."""
    watched = Watched("text", [text.path], text)
    text.path.write_text("half")
    assert watched.current() == "FIRST"
    text.path.unlink()
    assert watched.current() == "FIRST"
    text.path.write_text("WHOLE")
    assert watched.current() == "WHOLE"


def test_a_link_that_points_elsewhere_is_a_change(text, tmp_path):
    """Secrets of an orchestrator change by a symbolic link that is exchanged."""
    link = tmp_path / "link"
    link.symlink_to(text.path)
    (tmp_path / "other").write_text("OTHER")
    watched = Watched("text", [link], Text(link))
    (tmp_path / "new").symlink_to(tmp_path / "other")
    (tmp_path / "new").rename(link)
    assert watched.current() == "OTHER"


@pytest.mark.parametrize("content", [None, "small"])
def test_a_file_that_is_bad_at_the_start_is_an_error(text, content):
    """Nothing starts on a file that holds nothing usable; the sentence names it."""
    text.path.unlink()
    if content is not None:
        text.path.write_text(content)
    with pytest.raises(FileError, match="file"):
        Watched("text", [text.path], text)
