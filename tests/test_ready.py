"""What keeps DVC from running, or from keeping what it ran, is told before it starts."""

import fcntl
import subprocess
import sys

import pytest
from dvc_project import ROOT, Project

from pipeline.ready import remove_empty_dvc_lock, remove_invalid_rwlock

SHALLOW = "this clone is shallow, and the results of experiments in a copy of it (--temp, --queue) would be lost; run git fetch --unshallow"


def ready(folder, *words):
    return subprocess.run([sys.executable, "-m", "pipeline.ready", *words], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pipeline").symlink_to(ROOT / "pipeline")
    (tmp_path / "src").symlink_to(ROOT / "src")
    return tmp_path


class TestGit:
    def test_a_folder_without_a_git_repository_is_an_error(self, folder, monkeypatch):
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
        for purpose in ("repro", "experiment"):
            done = ready(folder, purpose)
            assert done.returncode == 1
            assert done.stderr == (
                "error: not a git repository, which DVC needs; run git init, git add --all, git commit\n"
            )

    def test_experiments_start_from_a_commit(self, folder):
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        assert ready(folder, "repro").returncode == 0
        done = ready(folder, "experiment")
        assert done.returncode == 1
        assert done.stderr.startswith(
            "error: the repository has no commit, which experiments start from; run git add --all, git commit"
        )


def test_an_unknown_model_is_named_before_anything_runs():
    for names in (("I", "IX"), ("IX", "I")):
        done = ready(ROOT, "repro", *names)
        assert done.returncode == 1
        assert done.stderr.startswith("error: params.yaml: models: unknown model IX; use one of I, II, III")
    assert ready(ROOT, "repro", "I", "III").stderr == ""


@pytest.fixture
def shallow(project, tmp_path):
    """A clone that has the last commit alone."""
    project("git commit -q --allow-empty -m second")
    clone = Project(tmp_path / "shallow", tmp_path)
    project("git clone -q --depth 1", f"file://{project.path}", str(clone.path))
    return clone


def test_an_experiment_in_a_copy_of_a_shallow_clone_fails_before_its_result_is_lost(shallow):
    output = shallow("dvc exp run --temp -S val_fraction=0.25 prepare", ok=False)
    assert f"error: {SHALLOW}" in output
    assert ready(shallow.path, "repro").returncode == 0
    done = ready(shallow.path, "experiment")
    assert (done.returncode, done.stderr) == (1, f"error: {SHALLOW}\n")
    shallow("git fetch -q --unshallow")
    assert ready(shallow.path, "experiment").returncode == 0
    shallow("dvc exp run --temp --name kept -S val_fraction=0.25 prepare")
    assert "kept" in shallow("dvc exp list --name-only")


class TestInvalidLock:
    """DVC's list of locked files, which a process that was killed may leave empty: then no command of DVC runs."""

    def test_dvc_fails_with_an_invalid_lock_and_runs_without(self, project):
        (project.path / ".dvc/tmp/rwlock").write_bytes(b"")
        assert "corrupted" in project("dvc repro statistics", ok=False)
        remove_invalid_rwlock(project.path / ".dvc/tmp")
        project("dvc repro statistics")

    def test_a_lock_that_is_valid_or_held_stays(self, tmp_path):
        locks = tmp_path / "rwlock"
        remove_invalid_rwlock(tmp_path)  # where there is none
        locks.write_text('{"read": {}}')
        remove_invalid_rwlock(tmp_path)
        assert locks.read_text() == '{"read": {}}'
        locks.write_text("")
        with (tmp_path / "rwlock.lock").open("a") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            remove_invalid_rwlock(tmp_path)
            assert locks.exists()
        remove_invalid_rwlock(tmp_path)
        assert not locks.exists()

    def test_dvc_fails_with_an_empty_record_too_and_takes_all_from_its_cache_without(self, built, project, capsys):
        (project.path / "dvc.lock").write_bytes(b"")
        assert "validation failed" in project("dvc repro statistics", ok=False)
        remove_empty_dvc_lock(project.path)
        assert "removed an empty dvc.lock that a killed process left" in capsys.readouterr().out
        assert project.ran("dvc repro") == []
        assert project.read("dvc.lock") == built.read("dvc.lock")
        remove_empty_dvc_lock(project.path)  # one that is whole stays
        assert project.read("dvc.lock") == built.read("dvc.lock")

    def test_make_asks_before_it_runs_dvc(self):
        made = (ROOT / "Makefile").read_text()
        for target, purpose in (
            ("repro", "repro"),
            ("exp", "experiment"),
            ("grid", "experiment"),
            ("depths", "experiment"),
        ):
            recipe = made.split(f"\n{target}: ")[1].split("\n\n")[0]
            first = next(line for line in recipe.splitlines() if line.startswith("\t"))
            assert first == f"\t@python -m pipeline.ready {purpose}{' $(DEPTHS)' * (target == 'depths')}"
