"""`deepen exp`, and where relative paths start, in projects in which DVC runs."""

import re
import shutil
import subprocess

import pytest
from conftest import photos, write_tree
from dvc_project import ROOT, Project, tiny_project

from deepen.cli import exp, main
from deepen.config.settings import check_text
from pipeline.shared.project import find_project_folder

ODD = 'my photos [1], é\'s "best" (2)'


def test_deepen_exp_without_dvc_is_an_error(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"error: dvc: not available; source \.venv/bin/activate first"):
        main(["exp", "--temp"])


class TestOutsideAProject:
    @pytest.fixture(autouse=True)
    def _without_dvc(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(exp.os, "execvp", None)
        monkeypatch.setattr(exp.shutil, "which", lambda name: name)

    @pytest.mark.parametrize(
        ("files", "error"),
        [
            ({}, "this folder: not a Deepen project, params.yaml is missing; run the command in a project's folder; deepen init NEW starts a project"),
            ({"params.yaml": ""}, "params.yaml: must be a mapping, got nothing; write for example data: digits"),
            ({"params.yaml": "- 1"}, "params.yaml: must be a mapping, got [1]; write for example data: digits"),
            ({"params.yaml": "a: 1"}, "dvc.yaml: can't be read (No such file or directory); run from the folder that holds it"),
            ({"params.yaml": "a: 1", "dvc.yaml": ""}, "dvc.yaml: must be a mapping, got nothing; run git restore dvc.yaml"),
            ({"params.yaml": "a: 1", "dvc.yaml": "stages: 1"}, "dvc.yaml: stages: must be a mapping, got 1; run git restore dvc.yaml"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("words", [[], ["--temp", "-S", "lr=0.1"]])
    def test_deepen_exp_is_one_error(self, tmp_path, files, error, words):
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        with pytest.raises(SystemExit) as exit:
            main(["exp", *words])
        assert str(exit.value) == f"error: {error}"

    @pytest.mark.parametrize("command", ["exp", "settings", "models", "ladder mine"])
    def test_in_a_folder_of_a_project_each_command_names_the_project(self, tmp_path, monkeypatch, command):
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(ROOT / name, tmp_path)
        (tmp_path / "deep/er").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "deep/er")
        with pytest.raises(SystemExit) as exit:
            main(command.split())
        told = (
            f"error: this folder: not a Deepen project, params.yaml is missing; it is inside a project: cd {tmp_path}"
        )
        assert str(exit.value) == told + ", or add --project FOLDER" * (command == "models")

    @pytest.mark.parametrize("models", ["5", "[I]", ""])
    def test_models_of_another_kind_are_one_error(self, tmp_path, models):
        shutil.copy(ROOT / "dvc.yaml", tmp_path)
        (tmp_path / "params.yaml").write_text(f"models: {models}\n")
        with pytest.raises(SystemExit, match=r"error: params\.yaml: models: must be "):
            main(["exp"])


def test_help_of_deepen_exp_has_an_example(capsys):
    main(["exp", "--help"])
    assert "deepen exp --temp -S lr=0.01" in capsys.readouterr().out


def test_a_grid_of_which_not_all_is_checked_is_told(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    ran = []
    monkeypatch.setattr(exp.os, "execvp", lambda *words: ran.append(words))
    exp.run_experiment(["--queue", "-S", f"seed={','.join(map(str, range(200)))}"])
    assert capsys.readouterr().err == ""
    exp.run_experiment(["--queue", "-S", f"seed={','.join(map(str, range(101)))}", "-S", "lr=0.1,0.2"])
    assert capsys.readouterr().err == ("warning: 202 combinations; the settings of only the first 200 were checked\n")
    assert len(ran) == 2


@pytest.mark.slow
def test_a_root_with_blanks_accents_brackets_commas_and_quotes_reaches_the_stage(tmp_path):
    project = tiny_project(tmp_path, real=True)
    root = write_tree(tmp_path / ODD, photos())
    changes = f"data=folder datasets.folder.root={root} seed=3 lr=1e-5"
    said = project("make --silent INSTALLED= exp NAME=odd STAGE=prepare", f"SET={changes}")
    assert "test: 4 images of shape (3, 8, 8), 2 classes" in said
    written = project("git show", f"{project.experiment('odd')}:params.yaml")
    assert "lr: 1e-05" in written
    settings = check_text(written)
    assert settings.datasets["folder"].root == str(root)
    assert (settings.data, settings.seed, settings.lr) == ("folder", 3, 1e-5)
    assert project("git status --short") == ""


@pytest.mark.slow
def test_a_project_whose_path_is_not_ascii(tmp_path):
    (tmp_path / "prÜfung").mkdir()
    project = tiny_project(tmp_path / "prÜfung")
    said = project("deepen exp --temp -S seed=3 statistics", ok=False)
    assert said.strip().endswith(
        "the path of DVC's cache must be ASCII for --temp and --queue; "
        "run for example dvc cache dir --local /srv/dvc-cache, or move the project"
    )
    project(f"dvc cache dir --local {tmp_path}/cache")
    assert project.ran("deepen exp --temp -S seed=3 statistics") == ["prepare", "statistics"]


@pytest.mark.slow
def test_in_a_folder_of_a_larger_repository_a_relative_root_starts_at_the_project(tmp_path):
    alone = tiny_project(tmp_path / "alone")
    repository = Project(tmp_path / "all", tmp_path)
    shutil.copytree(alone.path, repository.path / "deepen", ignore=shutil.ignore_patterns(".git"))
    (repository.path / "deepen/.dvc").rename(repository.path / ".dvc")
    for command in ("git init -q", "git add -A", "git commit -qm start"):
        repository(command)
    project = Project(repository.path / "deepen", tmp_path)
    write_tree(project.path / "images", photos())
    (project.path / "images/.gitignore").write_text("*\n")
    assert "test: 4 images of shape (3, 8, 8), 2 classes" in project("dvc exp run --temp -S data=folder prepare")
    assert "test: 4 images of shape (3, 8, 8), 2 classes" in project(
        "dvc exp run -S data=folder -S val_fraction=0.3 prepare"
    )


def test_a_project_is_found_within_its_repository(tmp_path):
    copy = tmp_path / "copy"
    (copy / ".dvc").mkdir(parents=True)
    (copy / "a/b").mkdir(parents=True)
    assert str(find_project_folder(None, copy)) == "."
    assert str(find_project_folder("/original", copy)) == "/original"
    assert str(find_project_folder("/original", copy / "a/b")) == "/original/a/b"


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    return tiny_project(tmp_path_factory.mktemp("missing"))


class TestWithoutAKey:
    """Where dvc.yaml needs a key, DVC ends before any stage; `make repro` tells it in this project's words first."""

    @pytest.mark.parametrize(
        ("line", "ours", "theirs"),
        [
            ("data: .*\n", "data: is missing; write for example data: digits", "Could not find 'data'"),
            ("depth: .*\n", "depth: is missing; write for example depth: III", "Could not find 'depth'"),
            ("    after: I\n", "models.II.after: is missing; write for example after: I", "Could not find 'item.after'"),
            ("models:(.*\n)*", "models: is missing; see the comments there", "Could not find 'models'"),
            ("datasets:(.*\n)*(?=recipes)", "datasets: is missing; see the comments there", "Parameters 'datasets"),
            ("    layers: .*\n", "models.I.layers: is missing; write for example layers: conv3-128", None),
        ],
    )  # fmt: skip
    def test_make_repro_names_a_key_that_dvc_yaml_needs(self, untouched, line, ours, theirs):
        good = untouched.read("params.yaml")
        (untouched.path / "params.yaml").write_text(re.sub(f"(?m)^{line}", "", good, count=1))
        try:
            said = untouched("make --silent INSTALLED= repro", ok=False)
            assert f"error: params.yaml: {ours}" in said
            assert "Running stage" not in said
            if theirs:
                assert theirs in untouched("dvc repro prepare", ok=False)
        finally:
            (untouched.path / "params.yaml").write_text(good)

    def test_deepen_settings_says_that_a_valid_file_is_valid(self, untouched):
        said = subprocess.run(
            ["deepen", "settings"], cwd=untouched.path, env=untouched.env, capture_output=True, text=True
        )
        assert said.stdout == "params.yaml: valid; data digits, models I, II, III\n"
