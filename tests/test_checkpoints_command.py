import contextlib
import os
import re

import pytest
from test_checkpoint import at, damaged

from deepen.checkpoint import Checkpoints
from deepen.commands import main
from deepen.locking import locked


@pytest.fixture
def project(tmp_path):
    """Two interrupted trainings."""
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
    assert header.split() == ["training", "steps", "epochs", "kept", "size", "in", "use", "by"]
    assert re.match(r"I-aaa +5 of 21 +1 of 3 +20\d\d-\d\d-\d\d \d\d:\d\d +0\.0 MB$", rows[0].rstrip())
    assert re.match(r"III-bbb +10 of 21 ", rows[1])


def test_a_damaged_one_is_listed_as_that(project, capsys):
    damaged(next((project / "checkpoints" / "I-aaa").iterdir()), "noise")
    main(["checkpoints", "I-aaa", "--project", str(project)])
    assert "is damaged (" in capsys.readouterr().out


def test_none(tmp_path, capsys):
    main(["checkpoints", "--project", str(tmp_path)])
    assert capsys.readouterr().out == "no training was interrupted\n"


def test_all_are_cleared_or_some(project, capsys):
    main(["checkpoints", "--clear", "I-aaa", "--project", str(project)])
    assert left(project) == ["III-bbb"]
    main(["checkpoints", "--clear", "--project", str(project)])
    assert left(project) == []
    assert capsys.readouterr().out == "I-aaa: cleared\nIII-bbb: cleared\n"


def test_one_in_use_is_left(project, capsys):
    with locked(project / "checkpoints" / "I-aaa.lock", print):
        main(["checkpoints", "--project", str(project)])
        assert f"process {os.getpid()} on" in capsys.readouterr().out
        main(["checkpoints", "--clear", "--project", str(project)])
    assert f"I-aaa: in use by process {os.getpid()} on" in capsys.readouterr().out
    assert left(project) == ["I-aaa"]


def test_one_that_is_not_there(project):
    with pytest.raises(SystemExit) as error:
        main(["checkpoints", "IV-x", "--project", str(project)])
    assert str(error.value).startswith("error: IV-x is none of the trainings in ")
    assert str(error.value).endswith("checkpoints: I-aaa, III-bbb")


def test_it_teaches_itself(capsys):
    for words in (["--help"], ["checkpoints", "--help"]):
        with contextlib.suppress(SystemExit):
            main(words)
    assert "what interrupted trainings left" in capsys.readouterr().out
