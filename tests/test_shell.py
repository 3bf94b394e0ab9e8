"""Commands that messages suggest can be typed, whatever the path."""

import os
import subprocess
from pathlib import Path

import pytest

from deepen.cli.project_folder import require_project
from deepen.core.dvc_cache import suggest_repair
from deepen.core.errors import InputError
from deepen.core.shell import quote_path, quote_word


@pytest.mark.parametrize(
    "name", ["a", "a b", "it's", "-x", "--", "~", "$HOME", "a;b", "ü", "a\nb", "a\x1b[31m", "-a\tb"]
)
def test_a_shell_reads_a_path_as_it_is(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("here")
    command = f"cd {quote_path(name)} && cat file"
    assert subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True).stdout == "here"
    said = subprocess.run(["bash", "-c", f"printf %s {quote_word(name)}"], capture_output=True).stdout
    assert os.fsdecode(said) == name


def test_the_project_around_a_folder_can_be_entered(tmp_path):
    project = tmp_path / "my project"
    (project / "below").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        (project / name).touch()
    with pytest.raises(InputError, match=rf"it is inside a project: cd '{project}'"):
        require_project(project / "below")


def test_a_damaged_file_that_starts_with_a_dash_can_be_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text("stages:\n  a:\n    outs:\n    - path: -x\n      md5: '123'\n")
    (tmp_path / "-x").touch()
    assert suggest_repair(Path("-x")) == "to restore it: rm -f ./-x && dvc repro"
