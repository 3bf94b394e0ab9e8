import contextlib
import os
import re
import shutil

import pytest
from test_checkpoint import at, damaged

from deepen.cli import main
from deepen.runtime.lock import hold_lock
from deepen.training.checkpoint import Checkpoints


@pytest.fixture
def project(tmp_path):
    """Two interrupted trainings."""
    (tmp_path / "params.yaml").touch()
    for name, steps in (("I-aaa", (5,)), ("III-bbb", (8, 10))):
        checkpoints = Checkpoints(tmp_path / "checkpoints" / name, 0)
        for step in steps:
            checkpoints.save(at(step))
    return tmp_path


def left(project):
    return sorted(path.name for path in (project / "checkpoints").iterdir() if path.is_dir())


def test_interrupted_trainings_are_listed(project, capsys):
    main(["checkpoints", "--project", str(project)])
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["training", "steps", "epochs", "kept", "size"]
    assert re.match(r"I-aaa +5 of 21 +1 of 3 +20\d\d-\d\d-\d\d \d\d:\d\d +0\.0 MB$", rows[0].rstrip())
    assert re.match(r"III-bbb +10 of 21 ", rows[1])


def test_a_damaged_checkpoint_is_listed_as_damaged(project, capsys):
    damaged(next((project / "checkpoints" / "I-aaa").iterdir()), "noise")
    main(["checkpoints", "I-aaa", "--project", str(project)])
    assert "is damaged (" in capsys.readouterr().out


def test_no_checkpoints_are_listed_as_none(tmp_path, capsys):
    (tmp_path / "params.yaml").touch()
    main(["checkpoints", "--project", str(tmp_path)])
    assert capsys.readouterr().out == "no interrupted trainings\n"


def test_all_checkpoints_or_named_ones_are_cleared(project, capsys):
    main(["checkpoints", "--clear", "I-aaa", "--project", str(project)])
    assert left(project) == ["III-bbb"]
    main(["checkpoints", "--clear", "--project", str(project)])
    assert left(project) == []
    assert capsys.readouterr().out == "I-aaa: cleared\nIII-bbb: cleared\n"


def test_a_checkpoint_in_use_is_not_cleared(project, capsys):
    with hold_lock(project / "checkpoints" / "I-aaa.lock", print):
        main(["checkpoints", "--project", str(project)])
        assert f"\nI-aaa is in use by process {os.getpid()} on" in capsys.readouterr().out
        main(["checkpoints", "--clear", "--project", str(project)])
    assert f"I-aaa: in use by process {os.getpid()} on" in capsys.readouterr().out
    assert left(project) == ["I-aaa"]


def test_no_link_is_followed_out_of_the_folder(project, capsys, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    (project / "checkpoints" / "linked").symlink_to(tmp_path / "photos")
    (project / "checkpoints" / "I-aaa" / "inside").symlink_to(tmp_path / "photos")
    main(["checkpoints", "--clear", "--project", str(project)])
    assert capsys.readouterr().out == "I-aaa: cleared\nIII-bbb: cleared\nlinked: cleared\n"
    assert list((project / "checkpoints").iterdir()) == []
    assert (tmp_path / "photos" / "a.png").exists()


@pytest.mark.parametrize("words", [[], ["--clear"]])
def test_a_folder_that_is_a_link_is_refused(project, tmp_path, words):
    (project / "checkpoints").rename(tmp_path / "elsewhere")
    (project / "checkpoints").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SystemExit) as error:
        main(["checkpoints", *words, "--project", str(project)])
    link = f"{project}/checkpoints: is a symbolic link to {tmp_path}/elsewhere"
    assert str(error.value) == f"error: {link}; remove the link, or clear that folder"
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["I-aaa", "III-bbb"]


def test_a_checkpoint_that_can_t_be_removed_is_reported(project, monkeypatch):
    def fails(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", fails)
    with pytest.raises(SystemExit) as error:
        main(["checkpoints", "--clear", "I-aaa", "--project", str(project)])
    fault = "can't be removed (Permission denied); make it and its folder writable, and run it again"
    assert str(error.value) == f"error: {project}/checkpoints/I-aaa: {fault}"


def test_clearing_an_unknown_checkpoint_is_an_error(project):
    with pytest.raises(SystemExit) as error:
        main(["checkpoints", "IV-x", "--project", str(project)])
    assert str(error.value) == (f"error: IV-x: unknown training in {project}/checkpoints; use one of I-aaa, III-bbb")
    with pytest.raises(SystemExit, match=r"; did you mean III-bbb\?$"):
        main(["checkpoints", "II-bbb", "--project", str(project)])


def test_a_folder_that_is_not_a_project_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match=r"not a Deepen project, params\.yaml is missing; run the command"):
        main(["checkpoints", "--project", str(tmp_path)])


def test_clearing_a_checkpoint_where_none_is_left_is_an_error(tmp_path):
    (tmp_path / "params.yaml").touch()
    with pytest.raises(SystemExit, match=r"x: unknown training in .*/checkpoints; it has no checkpoints$"):
        main(["checkpoints", "x", "--project", str(tmp_path)])


def test_help_shows_how_to_use_the_command(capsys):
    for words in (["--help"], ["checkpoints", "--help"]):
        with contextlib.suppress(SystemExit):
            main(words)
    assert "checkpoints of interrupted trainings" in capsys.readouterr().out
