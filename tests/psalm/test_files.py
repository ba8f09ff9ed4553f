from __future__ import annotations

import pytest

from psalm.errors import OutputError
from psalm.files import replacing, write_text


def test_writes_into_new_folders_and_leaves_nothing_behind(tmp_path):
    path = write_text(tmp_path / "a" / "b.txt", "grün")
    assert path.read_text(encoding="utf-8") == "grün"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o600 == 0o600


def test_the_old_file_survives_a_failure(tmp_path):
    path = write_text(tmp_path / "b.txt", "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "b.txt", "")
