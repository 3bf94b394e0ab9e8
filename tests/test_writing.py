import json
import os

import pytest

from deepen.writing import write_json, write_text


def test_a_failure_leaves_the_file_as_it_was_and_nothing_beside(tmp_path):
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "half\ud800")
    assert (tmp_path / "a.txt").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_to_the_cache_is_replaced_and_not_written_into(tmp_path):
    write_text(tmp_path / "cache", "cached")
    os.link(tmp_path / "cache", tmp_path / "out")
    write_text(tmp_path / "out", "new")
    assert (tmp_path / "cache").read_text() == "cached"
    assert (tmp_path / "out").read_text() == "new"


def test_folders_are_made_and_json_is_json(tmp_path):
    write_json(tmp_path / "new" / "folder" / "a.json", {"a": [1, 2]})
    text = (tmp_path / "new" / "folder" / "a.json").read_text()
    assert json.loads(text) == {"a": [1, 2]}
    assert text.endswith("\n")
