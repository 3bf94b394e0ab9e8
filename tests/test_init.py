"""`deepen init`: start a project, and write settings that fit images."""

import os
import re
import shlex
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from conftest import archive, photos, picture, write_tree

from deepen.cli import main
from deepen.config.settings import check_text, load_settings
from deepen.core.durations import format_rough_duration
from deepen.core.errors import InputError
from deepen.experiments.recorded import hash_code
from deepen.growth.ladder import plan_ladder
from deepen.project import creation
from deepen.project.estimate import _draw_images, estimate_run, time_step
from deepen.project.file_list import list_project_files
from deepen.project.locations import locate_images
from deepen.project.settings_text import change_settings
from deepen.project.suggestion import choose_size
from deepen.project.survey import survey_images
from deepen.project.template import INSTALLED, read_template
from deepen.training.trainer import Trainer
from pipeline.shared import packages

ROOT = Path(__file__).parents[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, outside of every repository."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Steps are not timed."""
    monkeypatch.setattr("deepen.project.estimate.time_step", lambda *arguments: 0.5)


def init(*words):
    main(["init", *map(str, words)])


def fault(*words):
    with pytest.raises(SystemExit) as exit:
        init(*words)
    return str(exit.value).removeprefix("error: ")


def content(folder):
    """All files and folders below a folder, without git's own."""
    paths = (path for path in folder.rglob("*") if ".git" not in path.relative_to(folder).parts)
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def files(folder):
    return {name for name, data in content(folder).items() if data is not None}


def is_repository(folder):
    return (folder / ".git").is_dir()


NAMES = {str(path) for path in list_project_files(ROOT)}
MOVED = {name.partition("/")[0] for name in NAMES} - {".gitignore"} | {".git"}  # into a folder that exists


class TestNewProject:
    @pytest.mark.parametrize("name", ["flowers", "some/where/new", "."])
    def test_a_new_or_empty_folder_becomes_a_project(self, here, capsys, name):
        init(name)
        assert files(here / name) == NAMES
        assert is_repository(here / name)
        assert load_settings(here / name / "params.yaml").data == "digits"
        enter = "" if name == "." else f"cd {name} && "
        who = "this folder" if name == "." else name
        said = f"{who}: a new project; next: {enter}git add --all && git commit -m Start && dvc repro\n"
        assert capsys.readouterr().out == said

    def test_all_but_dvc_yaml_and_gitignore_are_the_repository_s_files(self, here):
        init("new")
        differ = {name for name in NAMES if (here / "new" / name).read_bytes() != (ROOT / name).read_bytes()}
        assert differ == {"dvc.yaml", ".gitignore"}
        ignored = (here / "new/.gitignore").read_text()
        assert "/data/\n" in ignored
        assert "study" not in ignored

    def test_the_folder_has_the_usual_permissions(self, here):
        init("new")
        (here / "usual").mkdir()
        assert (here / "new").stat().st_mode == (here / "usual").stat().st_mode
        assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []

    def test_a_repository_keeps_its_files_and_history(self, here):
        subprocess.run(["git", "init", "-q"], check=True)
        before = (here / ".git/HEAD").stat().st_mtime_ns
        write_tree(here, {"README.md": b"mine", ".gitignore": b"*.log\n/data/", "notes/x.txt": b"x"})
        init(".")
        after = content(here)
        assert after["README.md"] == b"mine"
        assert after[".gitignore"].startswith(b"*.log\n/data/\n")
        assert after[".gitignore"].count(b"/data/") == 1
        assert b"\n/weights/\n" in after[".gitignore"]
        assert (here / ".git/HEAD").stat().st_mtime_ns == before

    def test_a_folder_of_a_repository_is_part_of_it(self, here):
        subprocess.run(["git", "init", "-q"], check=True)
        (here / ".gitignore").write_text("/ignored/\n")
        init("below")
        assert not is_repository(here / "below")
        init("ignored/below")
        assert is_repository(here / "ignored/below")

    @pytest.mark.parametrize("taken", ["params.yaml", "pipeline", ".dvc", ".dvcignore"])
    def test_no_file_is_overwritten(self, here, taken):
        subprocess.run(["git", "init", "-q"], check=True)
        write_tree(here, {f"{taken}/a" if "." not in taken[1:] else taken: b"mine"})
        before = content(here)
        rule = "which a new project would overwrite; move them away, or name another folder"
        assert fault(".") == f"this folder: contains {taken}, {rule}"
        assert content(here) == before

    @pytest.mark.parametrize(("exists", "at"), [(False, 1), *((True, at) for at in range(1, len(MOVED) + 1))])
    def test_after_an_error_nothing_is_left(self, here, monkeypatch, exists, at):
        target = here / "a/b"
        if exists:
            write_tree(target, {".gitignore": b"*.log\n"})
        before, renames = content(here), []
        rename = os.rename

        def fail(old, new):
            renames.append(new)
            if len(renames) == at:
                raise OSError(28, "No space left on device")
            rename(old, new)

        monkeypatch.setattr(creation.os, "rename", fail)
        assert fault("a/b") == "a/b: can't be written (No space left on device); free some disk space and run it again"
        assert content(here) == before

    def test_a_folder_that_is_not_writable_is_named(self, here):
        (here / "file").write_text("x")
        rule = "move or remove what is at this path and run it again"
        assert fault("file/new") == f"file/new: can't be written (File exists); {rule}"

    def test_git_that_is_missing_or_fails_is_named(self, here, monkeypatch):
        monkeypatch.setenv("PATH", str(here))
        assert fault("new") == "git: not available, and DVC needs it; install it"
        (here / "git").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
        (here / "git").chmod(0o755)
        assert fault("new") == "git init: failed (broken); make git init work, and run it again"
        assert files(here) == {"git"}

    def test_an_installation_without_the_files_is_named(self, here, monkeypatch):
        monkeypatch.setattr("deepen.project.template._find_files", lambda: here)
        assert re.match("deepen: its installation lacks files of a project .*; install it again$", fault("new"))
        assert content(here) == {}


class TestImages:
    def test_settings_that_fit_are_written_into_a_project(self, here, quick, capsys):
        init("project")
        write_tree(here / "photos", photos(train=10, test=3, size=(30, 40)))
        before = (here / "project/params.yaml").read_text()
        os.chdir("project")
        capsys.readouterr()
        init("../photos")
        said = re.sub(r"\n  ", " ", capsys.readouterr().out).splitlines()
        assert said[0] == "../photos: 26 colour images (test 6, train 20), 30x40 pixels, in 2 classes: cat 13, dog 13"
        assert said[1] == (
            "params.yaml: data: folder (was digits), datasets.folder.root: ../photos (was images), "
            "datasets.folder.size: auto"
        )
        assert re.fullmatch(
            r"dvc repro will train I, II, III for 100 epochs each, on 18 images of 3x40x30, and test each on 6: about "
            r"[1-9]0* min on this machine when idle \(cpu\)",
            said[2],
        )
        after = (here / "project/params.yaml").read_text()
        assert after == before.replace("data: digits", "data: folder").replace("root: images", "root: ../photos")

    def test_comments_stay_in_their_column(self, here, quick):
        write_tree(here / "photos", photos(size=(100, 100)))
        init("photos")
        before = (ROOT / "params.yaml").read_text()
        after = (here / "params.yaml").read_text()
        (size,) = re.findall("^    size: 64 .*", after, re.MULTILINE)
        assert before.replace("    size: auto ", "    size: 64   ").count(size) == 1
        assert re.findall("#.*", after) == re.findall("#.*", before)

    def test_outside_a_project_one_is_started_and_git_ignores_the_images(self, here, quick, capsys):
        write_tree(here / "my photos", photos())
        init("my photos/")
        assert files(here) >= NAMES
        assert load_settings(here / "params.yaml").dataset.root == "my photos"
        assert subprocess.run(["git", "check-ignore", "-q", "my photos/train/cat/000.png"]).returncode == 0
        assert "this folder: a new project; next: git add" in capsys.readouterr().out

    def test_an_archive_takes_a_project_of_its_own(self, here, quick, capsys):
        archive(here / "x.zip", photos(), "zip")
        init("x.zip", "--project", "new")
        settings = load_settings(here / "new/params.yaml")
        assert (settings.data, settings.dataset.root, settings.dataset.size) == ("folder", "../x.zip", None)
        assert "/x.zip" not in (here / "new/.gitignore").read_text()
        assert "cd new && git add" in capsys.readouterr().out

    def test_a_second_call_follows_the_images(self, here, quick, capsys):
        write_tree(here / "photos", photos())
        init("photos")
        first = (here / "params.yaml").read_text()
        init("photos")
        assert (here / "params.yaml").read_text() == first
        assert (here / ".gitignore").read_text().count("/photos\n") == 1
        (here / "photos/train/cat/large.png").write_bytes(picture(size=(200, 90)))
        capsys.readouterr()
        init("photos")
        assert "datasets.folder.size: 8 (was auto)" in capsys.readouterr().out.replace("\n  ", " ")

    def test_a_slow_run_is_told_what_a_quarter_of_the_width_takes(self, here, monkeypatch, capsys):
        monkeypatch.setattr("deepen.project.estimate.time_step", lambda settings, *more: 9 * settings.network_width)
        write_tree(here / "photos", photos(train=40))
        init("photos", "--project", "a")
        assert "; with width: 0.25 in params.yaml about " in capsys.readouterr().out.replace("\n  ", " ")

    def test_faults_of_the_images_are_told_and_nothing_is_written(self, here):
        write_tree(here / "photos", photos() | {"train/cat/bad.png": b"\x89PNG\r\n\x1a\nbad"})
        before = content(here)
        assert re.fullmatch(
            r"photos: train/cat/bad\.png: can't be read as an image \(.*\); replace or remove it", fault("photos")
        )
        write_tree(here / "flat", {"a.png": picture(), "b.png": picture()})
        assert fault("flat", "--project", "x") == (
            "flat: 2 images, such as a.png, are in no class folder; move them into train/<class>/"
        )
        write_tree(here / "few", photos(train=2, test=0))
        assert fault("few", "--project", "x").startswith("class 'cat' has 2 images, but 3 are needed to hold one out")
        assert {name: data for name, data in content(here).items() if name in before} == before
        assert not (here / "x").exists()

    def test_images_that_are_too_small_for_the_models_are_told(self, here, quick):
        write_tree(here / "photos", photos())
        init("photos")
        text = (here / "params.yaml").read_text().replace("fc-1024\n", "maxpool fc-1024\n")
        (here / "params.yaml").write_text(text)
        assert re.match(r"params\.yaml: models\.I\.layers: layer 7 of .*use larger images", fault("photos"))
        assert (here / "params.yaml").read_text() == text


class TestPurpose:
    """A folder is for images or for a new project; where that is unclear, the error has both remedies."""

    @pytest.mark.parametrize(
        ("tree", "word", "said"),
        [
            (
                {"notes.txt": b"x", "b/c.txt": b"x"},
                ".",
                "this folder: contains b, notes.txt but no images; for a new project name a new or empty folder, or run "
                "git init there first; for settings that fit images name a folder of images",
            ),
            (
                {".git/x": b"", "docs/logo.png": picture()},
                ".",
                "this folder: is a git repository with images, such as docs/logo.png; for a new project name a new folder "
                "in it, for settings that fit images name the folder that contains train",
            ),
            (
                {f"photos/{name}": data for name, data in photos().items()},
                ".",
                "this folder: contains images, and the project would be inside; name the folder in it that contains "
                "train, or add --project NEW, a new folder elsewhere",
            ),
            (
                {"notes.txt": b"x"} | {f"photos/{name}": data for name, data in photos().items()},
                "photos",
                "this folder: contains notes.txt and is not a Deepen project; for a new project add --project NEW, a new "
                "folder; for a project that exists, add --project and its folder",
            ),
            (
                {f"photos/{name}": data for name, data in photos().items()},
                "phtos",
                "phtos: no such folder; for settings that fit the images of photos write deepen init photos, for a new "
                "project add --new",
            ),
            ({}, "gone.zip", "gone.zip: no such file; this folder is empty"),
        ],
    )
    def test_an_unclear_folder_is_an_error(self, here, tree, word, said):
        write_tree(here, tree)
        before = content(here)
        assert fault(word) == said
        assert content(here) == before

    def test_a_project_is_none_again(self, here):
        init("old")
        before = content(here)
        images = (
            "for settings that fit images write deepen init IMAGES --project old, for a new project name another folder"
        )
        assert fault("old") == f"old: is a Deepen project; {images}"
        other = f"for settings that fit images name their folder, for a new project name a folder outside of {here}/old"
        assert fault("old/new") == f"old/new: no such folder, inside the Deepen project {here}/old; {other}"
        write_tree(here, {"old/empty/.keep": b""})
        assert fault("old/empty") == f"old/empty: is empty, inside the Deepen project {here}/old; {other}"
        write_tree(here / "photos", photos())
        os.chdir("old/empty")
        assert (
            fault("../../photos") == f"this folder: is inside the Deepen project {here}/old; add --project {here}/old"
        )
        assert content(here).items() >= before.items()

    def test_in_a_project_a_new_one_must_be_said(self, here, capsys):
        init("old")
        (here / "old/deep").mkdir()
        for folder in ("old", "old/deep"):
            os.chdir(here / folder)
            told = fault(here / "photso")
            assert told == (
                f"{here}/photso: no such folder; for settings that fit images name their folder, for a new project add "
                "--new"
            )
        init("--new", here / "photso")
        assert is_repository(here / "photso")
        assert "outside of" in fault("--new", "photso")

    @pytest.mark.parametrize("missing", ["phtos", "phtos/train", "photo.zip", "photo"])
    def test_images_of_a_similar_name_are_suggested(self, here, missing):
        if missing == "photo":
            archive(here / "photos.zip", photos(), "zip")
        else:
            write_tree(here / "photos", photos())
        similar = "photos.zip" if missing == "photo" else "photos/train" if "/" in missing else "photos"
        told = fault(missing)
        assert similar in told
        assert content(here).keys() >= {similar}
        assert not (here / missing).exists()
        if missing != "photo.zip":
            init("--new", missing)
            assert load_settings(here / missing / "params.yaml").data == "digits"

    @pytest.mark.parametrize(
        ("missing", "similar"),
        [
            *(("clz", "cls"), ("csl", "cls"), ("fotos", "photos"), ("Photo", "photos"), ("photso", "photos")),
            *((name, None) for name in ("cls1", "xyz", "fotis", "a", "c")),
        ],
    )
    def test_names_are_similar_if_two_thirds_of_their_letters_are(self, here, missing, similar):
        write_tree(here, {f"{name}/cat/1.png": picture() for name in ("cls", "photos", "b")} | {"fotosx/x.txt": b"x"})
        if similar is None:
            init(missing)
            assert is_repository(here / missing)
        else:
            images = f"the images of {similar} write deepen init {similar}"
            assert (
                fault(missing)
                == f"{missing}: no such folder; for settings that fit {images}, for a new project add --new"
            )

    def test_a_similar_name_without_images_does_not_matter(self, here):
        write_tree(here, {"flowers.md": b"x", "rose/notes.txt": b"x"})
        for name in ("flowers", "roses"):
            init(name)
            assert is_repository(here / name)

    def test_new_means_no_images(self, here):
        write_tree(here / "photos", photos())
        assert fault("photos", "--new") == "--new: photos has images; omit it, or name a new or empty folder"

    @pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\u2028b", "a\u202eb"])
    def test_a_name_that_breaks_a_line_is_refused(self, here, name):
        rule = "has a line break, control character, bidirectional control or lone surrogate; choose another name"
        assert fault(name) == f"{name!a}: {rule}"
        write_tree(here / "photos", photos())
        assert fault("photos", "--project", name) == f"--project {name!a}: {rule}"
        write_tree(here / name, photos())
        assert fault(name, "--project", "new") == f"{name!a}: {rule}"
        assert not (here / "new").exists()

    @pytest.mark.parametrize("name", ["set/labels.csv", "set/labels.tsv", "set/my list.xlsx"])
    def test_a_table_is_not_the_folder_of_its_images(self, here, name):
        write_tree(here, {name: b"file,label\n", "other.txt": b"x"})
        save = "save it as CSV and " if ".xlsx" in name else ""
        table = "'set/my list.csv'" if save else name
        rule = "is a table, and FOLDER must be the folder or archive of the images"
        assert fault(name) == f"{name}: {rule}; {save}write deepen init FOLDER --labels {table}"
        assert fault(name, "--project", "new") == f"{name}: {rule}; {save}write deepen init FOLDER --labels {table}"

    @pytest.mark.parametrize("name", ["set/train/a/0.png", "set/train/a/0"])
    def test_an_image_is_not_the_folder_of_images(self, here, name):
        write_tree(here, {name: picture(), "other.txt": b"x"})
        assert fault(name) == (
            f"{name}: is an image, and FOLDER must be the folder or archive of the images; write deepen init set/train/a, "
            "or the folder around it that contains train or the class folders"
        )

    def test_another_file_is_told_before_the_place_of_the_project(self, here):
        write_tree(here, {"notes.txt": b"x"})
        assert fault("notes.txt").startswith("notes.txt: is not a valid .tar, .tar.gz, .tar.xz or .zip archive")

    def test_commands_of_a_folder_with_a_dash_can_be_typed(self, here, capsys):
        init("--", "-x")
        assert "-x: a new project; next: cd ./-x && git add" in capsys.readouterr().out
        assert "deepen init IMAGES --project ./-x, for" in fault("--", "-x")
        write_tree(here / "-photos", photos())
        assert "write deepen init ./-photos, for" in fault("--", "-photo")

    def test_a_pipe_is_neither(self, here):
        os.mkfifo(here / "pipe")
        assert fault("pipe") == "pipe: is neither a folder nor an archive; name one with train/<class>/*"

    def test_a_repository_of_images_in_train_is_one_of_images(self, here, quick):
        write_tree(here / "set", photos() | {".git/x": b""})
        init("set", "--project", "new")
        assert load_settings(here / "new/params.yaml").dataset.root == "../set"

    def test_the_option_project_is_for_images_only(self, here):
        assert fault("new", "--project", "x") == "new: no such folder or archive; this folder is empty"
        (here / "new").mkdir()
        assert fault("new", "--project", "x") == "--project x: only with images, and new has none; omit it"
        assert content(here) == {"new": None}


def flat(train=10, **sizes):
    """Images of two classes in one folder, and the rows of a table that lists them."""
    images = {name.replace("/", "-"): data for name, data in photos(train=train, test=0, **sizes).items()}
    return images, "".join(f"{name},{name.split('-')[1]}\n" for name in images).encode()


class TestTables:
    """Where classes are in a table, it is named, and written below the data set in params.yaml."""

    @pytest.fixture
    def images(self, here, quick):
        images, self.rows = flat()
        write_tree(here / "photos", images)
        return here / "photos"

    def test_the_only_table_that_fits_is_taken_and_told(self, here, images, capsys):
        write_tree(images, {"labels.csv": b"file,animal\n" + self.rows, "notes.csv": b"a,b,c\n1,2,3\n"})
        init("photos")
        said = re.sub(r"\n  ", " ", capsys.readouterr().out).splitlines()
        assert said[0] == "photos: 20 colour images (train 20), 8x8 pixels, in 2 classes: cat 10, dog 10"
        assert said[1:3] == [
            "labels.csv: 20 rows; file names from column 'file', classes from 'animal'",
            "not used: notes.csv",
        ]
        assert "datasets.folder.labels: labels.csv (was auto)" in said[3]
        assert load_settings(here / "params.yaml").dataset.labels == "labels.csv"

    def test_of_several_one_must_be_chosen(self, here, images):
        write_tree(images, {f"{name}.csv": b"file,x\n" + self.rows for name in "ab"})
        assert fault("photos") == (
            "photos: several tables list classes: a.csv, b.csv; choose one, for example --labels a.csv, or join them"
        )
        assert not (here / "params.yaml").exists()
        init("photos", "--labels", "b.csv")
        assert load_settings(here / "params.yaml").dataset.labels == "b.csv"

    def test_columns_are_written_too(self, here, images):
        rows = b"".join(line + b",x\n" for line in self.rows.splitlines())
        write_tree(images, {"labels.csv": b"file,animal,place\n" + rows})
        assert fault("photos") == (
            "photos: labels.csv: column of classes: none is named label, the columns are file, animal, place; name one "
            "with --labels=labels.csv --label-column=..."
        )
        init("photos", "--labels", "labels.csv", "--label-column", "animal")
        settings = load_settings(here / "params.yaml").dataset
        assert (settings.labels, settings.columns.label) == ("labels.csv", "animal")
        (columns,) = re.findall("    columns: .*", (here / "params.yaml").read_text())
        assert columns.startswith("    columns: {file: auto, label: animal, split: auto} # of that table;")

    @pytest.mark.parametrize(
        ("header", "change", "encoding", "told"),
        [
            ("file,label", (",cat", ",nan"), "utf-8", "'train-cat-000.png' has the class 'nan', which stands"),
            ("file,label", (",cat", ",féline"), "latin-1", "not UTF-8 text"),
            (
                "file,label",
                ("cat-001", "dog-001"),
                "utf-16",
                "train-dog-001.png has the class 'dog', but 'cat' in line",
            ),
            ("file,label", ("train-", "x-"), "utf-8", "no image 'x-cat-000.png'; add the image or remove the row"),
            ("file,label", (",dog", ",cat"), "utf-8", "has only one class for training, 'cat'"),
            ("foto,label", ("train-", "train-"), "utf-8", "column of file names: none is named file_name"),
            ("foto,label", (".png", ""), "utf-8", "column of file names: none is named file_name"),
            ("file,label,split", ("\n", ",holdout\n"), "utf-8", "the split 'holdout' is unknown"),
        ],
    )
    @pytest.mark.parametrize("more", [{}, {"notes.csv": b"id,b,c\n1,2,3\n"}], ids=["alone", "beside notes"])
    def test_the_fault_of_a_table_of_the_images_is_told_alone(self, images, header, change, encoding, told, more):
        rows = self.rows.decode().replace(*change)
        write_tree(images, more | {"labels.csv": f"{header}\n{rows}".encode(encoding)})
        (only,) = fault("photos").splitlines()
        assert only.startswith("photos: labels.csv: ")
        assert told in only

    def test_the_fault_of_another_table_follows_that_of_the_folders(self, images):
        write_tree(images, {"notes.csv": b"id,b,c\n1,2,3\n"})
        first, *others = fault("photos").splitlines()
        assert first.startswith("photos: 20 images, such as train-cat-000.png, are in no class folder (if notes.csv")
        assert all(other.startswith("error: photos: notes.csv: column of ") for other in others)

    @pytest.mark.parametrize("name", ["labels.csv", "my labels.csv", "-x.csv", "metadata.csv"])
    def test_the_remedy_for_a_column_names_the_table_and_works(self, here, images, name):
        rows = "".join(
            f"{row},{'test' if at % 5 == 0 else 'train'}\n" for at, row in enumerate(self.rows.decode().split())
        )
        write_tree(images, {name: f"file,label,the phase\n{rows}".encode()})
        told = fault("photos")
        use, omit = re.findall(r"with (--labels.+?)(?=, or|$)", told)
        assert fault("photos", "--project", "a", "--split-column=phase") == (
            "--split-column: requires --labels; add --labels FILE.csv, or omit it"
        )
        for project, words in (("a", use), ("b", omit)):
            init("photos", "--project", project, *shlex.split(words))
        assert load_settings(here / "a/params.yaml").dataset.columns.split == "the phase"
        assert load_settings(here / "b/params.yaml").dataset.columns.split == "none"

    @pytest.mark.parametrize("place", ["photos/x/labels.csv", "labels.csv"])
    def test_a_table_is_named_as_the_project_finds_it(self, here, images, place):
        write_tree(here, {place: b"file,animal\n" + self.rows})
        init("photos", "--labels", place, "--project", "new")
        assert load_settings(here / "new/params.yaml").dataset.labels == (
            "x/labels.csv" if "x" in place else "../labels.csv"
        )

    def test_other_images_in_class_folders_need_no_table(self, here, images):
        write_tree(here / "photos", {"labels.csv": b"file,animal\n" + self.rows})
        init("photos", "--labels", "labels.csv", "--label-column", "animal", "--project", "new")
        write_tree(here / "others", photos())
        init("others", "--project", "new")
        settings = load_settings(here / "new/params.yaml").dataset
        assert (settings.labels, settings.columns.label) == ("auto", "auto")

    def test_metadata_needs_no_setting(self, here, images):
        write_tree(images, {"metadata.csv": b"file_name,label\n" + self.rows})
        init("photos")
        settings = load_settings(here / "params.yaml").dataset
        assert (settings.labels, settings.root) == ("auto", "photos")
        split = b"".join(
            line + b",test\n" * (at % 5 == 0) + b",train\n" * (at % 5 > 0)
            for at, line in enumerate(self.rows.splitlines())
        )
        write_tree(images, {"metadata.csv": b"file_name,label,split\n" + split})
        assert survey_images(images).parts == {"train": {"cat": 8, "dog": 8}, "test": {"cat": 2, "dog": 2}}

    def test_an_image_that_cannot_be_read_and_a_single_class_are_told(self, here, images):
        write_tree(images, {"train-cat-000.png": b"x", "labels.csv": b"file,animal\n" + self.rows})
        assert "photos: train-cat-000.png: can't be read as an image" in fault("photos")
        write_tree(images, {"labels.csv": b"file,animal\n" + self.rows.replace(b",dog", b",cat")})
        assert "photos: labels.csv: has only one class for training, 'cat'" in fault("photos")

    def test_the_options_of_a_table_are_for_images_only(self, here):
        assert fault("new", "--labels", "a.csv") == "--labels a.csv: only with images, and new has none; omit it"


class TestSurvey:
    def test_it_counts_as_training_does(self, tmp_path):
        grey = {name: picture("L", value=9) for name in photos(train=20, test=0)}
        write_tree(tmp_path, grey | {"notes.txt": b"x"})
        survey = survey_images(tmp_path)
        assert survey.is_grey
        assert survey.parts == {"train": {"cat": 20, "dog": 20}}
        assert survey.split(0.1) == {"train": 28, "validation": 4, "test": 8}

    def test_class_folders_need_no_train(self, tmp_path):
        write_tree(tmp_path, {name.removeprefix("train/"): data for name, data in photos(train=20, test=0).items()})
        assert survey_images(tmp_path).parts == {"train": {"cat": 20, "dog": 20}}

    def test_sizes_are_those_of_upright_images(self, tmp_path):
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
        tree = photos(train=3, test=0, size=(30, 40), format="JPEG")
        write_tree(tmp_path, tree | {"train/cat/turned.png": picture(size=(30, 40), format="JPEG", exif=exif)})
        assert survey_images(tmp_path).sizes == Counter({(40, 30): 6, (30, 40): 1})

    def test_of_many_images_only_some_are_measured(self, tmp_path, monkeypatch):
        monkeypatch.setattr("deepen.project.survey._ALL", 5)
        monkeypatch.setattr("deepen.project.survey._EVERY", 4)
        write_tree(tmp_path, photos(train=10, test=0))
        survey = survey_images(tmp_path)
        assert (survey.images, survey.measured) == (20, 8)

    @pytest.mark.parametrize(
        ("sizes", "chosen"),
        [
            ({(28, 28): 9}, "auto"),
            ({(40, 30): 9}, "auto"),
            ({(64, 64): 9}, "auto"),
            ({(224, 224): 9}, 64),
            ({(6, 9): 9}, 8),
            ({(300, 65): 2, (31, 500): 1}, 64),
            ({(300, 65): 1, (31, 500): 2}, 24),
            ({(300, 63): 2, (400, 500): 1}, 32),
        ],
    )
    def test_a_size_that_half_of_the_images_have_is_suggested(self, sizes, chosen):
        assert choose_size(Counter(sizes)) == chosen


class TestSettingsText:
    TEXT = (ROOT / "params.yaml").read_text()

    @pytest.mark.parametrize("root", ["a: b", "#x", "0x10", "ü [1], 'q' \"r\"", "~/photos", "yes", "- a"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_any_path_is_read_back_as_it_was_given(self, tmp_path, root, end):
        new = change_settings(self.TEXT.replace("\n", end), {"datasets.folder.root": root})
        (tmp_path / "params.yaml").write_bytes(new.encode())
        assert load_settings(tmp_path / "params.yaml").datasets["folder"].root == root
        assert new.count(end) == self.TEXT.count("\n")

    def test_a_setting_that_is_missing_or_shared_is_an_error(self):
        with pytest.raises(InputError, match=r"^params\.yaml: datasets\.photos\.root: missing; add it"):
            change_settings(self.TEXT, {"datasets.photos.root": "x"})
        first, second = "root: downloads", "root: images"
        shared = self.TEXT.replace(first, "root: &x downloads", 1).replace(second, "root: *x")
        for name in ("cifar10", "folder"):
            with pytest.raises(InputError, match=rf"^params\.yaml: datasets\.{name}\.root: has an anchor or alias"):
                change_settings(shared, {f"datasets.{name}.root": "y"})

    def test_paths_are_relative_to_the_project_if_they_were_relative(self, here):
        assert locate_images(Path("photos"), here / "project") == "../photos"
        assert locate_images(here / "photos", here / "project") == str(here / "photos")
        (here / "link").symlink_to(here / "project/deep/er")
        (here / "project/deep/er").mkdir(parents=True)
        assert locate_images(Path("photos"), here / "link") == "../../../photos"

    def test_a_ladder_without_a_data_set_of_a_folder_is_an_error(self, here, quick):
        init("project")
        path = here / "project/params.yaml"
        text = re.sub(r"  folder: .*?(?=\nrecipes)", "", path.read_text(), flags=re.DOTALL)
        path.write_text(text)
        write_tree(here / "photos", photos())
        assert fault("photos", "--project", "project") == (
            "params.yaml: datasets: no data set has source: folder; add one, as deepen init NEW writes it"
        )


def test_stages_depend_on_the_installed_packages_in_place_of_src():
    text = read_template()[Path("dvc.yaml")].decode()
    assert "src/deepen" not in text
    own = (ROOT / "dvc.yaml").read_text()
    outs = set(re.findall(r"data/installed/(\w+)\.txt", text))
    assert outs == set(re.findall(r"- src/deepen/(\w+)", own))
    for comment in re.findall(r"  # .*", own):
        assert comment in text


class TestEstimate:
    PARTS = {"train": 70, "validation": 8, "test": 19}  # noqa: RUF012

    def estimate(self, **changes):
        settings = check_text((ROOT / "params.yaml").read_text()).model_copy(update={"data": "folder", **changes})
        return settings, estimate_run(settings, (3, 16, 16), 3, self.PARTS, 3e7)

    def test_steps_of_each_model_are_timed_with_its_batch(self, monkeypatch):
        timed = []

        def time_each(settings, name, layers, images, device):
            timed.append((name, images.shape, len(images), device.type))
            return 0.1

        monkeypatch.setattr("deepen.project.estimate.time_step", time_each)
        _, estimate = self.estimate(device="cpu")
        assert timed == [(name, (3, 16, 16), 16, "cpu") for name in ("I", "II", "III")]
        assert estimate.epochs == {"I": 100, "II": 100, "III": 100}
        least = 3 * 100 * (70 // 16) * 0.1
        assert least < estimate.seconds - 1 - 15 * 2.0 < 1.7 * least  # besides decoding and starting: validation, test

    def test_models_deeper_than_a_slow_one_are_not_timed(self, monkeypatch):
        timed = []
        monkeypatch.setattr(
            "deepen.project.estimate.time_step", lambda settings, name, *more: timed.append(name) or 3.0
        )
        _, estimate = self.estimate(device="cpu")
        assert timed == ["I"]
        assert estimate.seconds > 3 * 100 * 4 * 3.0

    def test_a_step_takes_the_least_time_of_a_known_number_after_the_first(self, monkeypatch):
        clock, steps = [0.0], iter([90.0, *[5.0, 3.0, 4.0, 6.0] * 9])

        def run_epoch(trainer, epoch, after_step):
            clock[0] += next(steps)

        monkeypatch.setattr("deepen.project.estimate.time.thread_time", lambda: clock[0])
        monkeypatch.setattr("deepen.training.trainer.Trainer.run_epoch", run_epoch)
        settings, layers, images = self.make_step()
        assert time_step(settings, "I", layers, images, torch.device("cpu")) == 3.0
        assert next(steps) == 5.0  # after the first, eight were timed

    def test_waiting_for_other_programs_is_not_part_of_a_step(self, monkeypatch):
        settings, layers, images = self.make_step()
        run_epoch = Trainer.run_epoch

        def wait(*arguments):
            time.sleep(0.3)
            return run_epoch(*arguments)

        monkeypatch.setattr(Trainer, "run_epoch", wait)
        assert time_step(settings, "I", layers, images, torch.device("cpu")) < 0.3

    def make_step(self):
        settings = check_text((ROOT / "params.yaml").read_text()).model_copy(
            update={"data": "folder", "width": 0.03125}
        )
        images = _draw_images(16, (3, 16, 16), 3)
        return settings, plan_ladder(settings, images.shape, 3)["I"], images

    @pytest.mark.parametrize(
        ("seconds", "told"),
        [
            *((0.4, "0 s"), (44, "40 s"), (99, "100 s"), (329, "5 min"), (5270, "90 min"), (5990, "100 min")),
            *((6100, "2 h"), (34300, "10 h"), (3600 * 1234, "1,000 h")),
        ],
    )
    def test_a_duration_is_rounded_to_one_digit(self, seconds, told):
        assert format_rough_duration(seconds) == told

    @pytest.mark.slow
    @pytest.mark.parametrize("recipe", ["onecycle", "published"])
    def test_a_step_takes_some_time(self, recipe):
        _, estimate = self.estimate(device="cpu", width=0.03125, threads=1, recipe=recipe)
        assert 31 < estimate.seconds < 3600


def test_the_checksums_of_an_installed_package_follow_its_files(tmp_path, monkeypatch):
    write_tree(tmp_path / "lib", {"core/a.py": b"a", "core/b/c.j2": b"c", "core/x.pyc": b"x", "data/d.py": b"d"})
    write_tree(tmp_path / "lib", {"core/.ipynb_checkpoints/a.py": b"a"})
    (tmp_path / "lib/core/.#a.py").symlink_to("me@host.1:1")  # of an editor
    monkeypatch.setattr(packages, "_find_library", lambda: tmp_path / "lib")
    monkeypatch.chdir(tmp_path)
    first = packages.list_checksums(tmp_path / "lib/core")
    assert [line.split("  ")[1] for line in first.splitlines()] == ["a.py", "b/c.j2"]
    path = write_tree(tmp_path, {"data/installed/core.txt": first.encode()}) and packages.FOLDER / "core.txt"
    assert packages.find_changed_package(path) is None
    (tmp_path / "lib/core/b/c.j2").write_text("new")
    assert packages.find_changed_package(path) == "the installed package deepen.core"
    assert packages.find_changed_package(Path("data/installed/gone.txt")) is None
    assert packages.find_changed_package(Path("data/source.json")) is None
    sums = packages.list_checksums(tmp_path / "lib/core").encode()
    write_tree(tmp_path, {"study/data/code/lib/core.txt": sums})  # in the studies, a folder of the project
    assert packages.find_changed_package(Path("study/data/code/lib/core.txt")) is None
    (tmp_path / "lib/core/a.py").unlink()
    assert packages.find_changed_package(Path("study/data/code/lib/core.txt")) == "lib/core"
    assert str(packages.FOLDER) == INSTALLED


@pytest.mark.parametrize(
    "path", ["pipeline/train.py", "pipeline/shared", "src/deepen/training", "data/installed/x.txt"]
)
def test_the_code_of_a_run_is_that_of_scripts_folders_and_installed_packages(path):
    lock = "stages:\n  train@I:\n    deps:\n    - path: {}\n      md5: {}\n    outs:\n    - path: a\n      md5: b\n"
    assert hash_code(lock.format(path, "1")) != hash_code(lock.format(path, "2"))
    assert hash_code(lock.format("data/train.safetensors", "1")) == hash_code(
        lock.format("data/train.safetensors", "2")
    )
