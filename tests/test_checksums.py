"""Every file of this project that is read back holds what was written to it, or says so, and can be made anew."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_input import CARD, STATE
from dvc_project import ROOT
from tensors import load_weights

from deepen.core.checksums import ChecksumMismatch, read_checked_json, write_checked_json
from deepen.core.errors import InputError
from deepen.data.images import load_images
from deepen.models.weights import read_weights_checksum, save_weights

READ_BY = {  # a file of each kind, and the stage that reads it
    "data/train.safetensors": "statistics",
    "data/validation.safetensors": "train II",
    "data/test.safetensors": "evaluate II",
    "data/statistics.json": "transfer II",
    "weights/I.safetensors": "transfer II",
    "weights/init/II.safetensors": "train II",
    "weights/II.safetensors": "evaluate II",
    "curves/II.json": "evaluate II",
    "curves/III-examples.safetensors": "report",
    "transfers/II.json": "evaluate II",
    "records/I.json": "evaluate II",
    "records/III.json": "collect",
    "reports/models.json": "report",
    "predictions/III.json": "report",
    "predictions/III-mistakes.safetensors": "report",
}

HEALED = ("data/train.safetensors", "weights/I.safetensors", "data/statistics.json")  # also in the short form


def damage(path, at=0.9):
    """Change a digit, or where there is none a bit, and leave size and times as they are, as a failing disk does."""
    content, times = bytearray(path.read_bytes()), path.stat()
    place = int(len(content) * at)
    if path.suffix == ".json":
        places = (i for i in range(place, len(content)) if b"sha256" not in content[i - 5 : i + 6])  # of a value
        place = next(i for i in places if content[i : i + 1] in b"234567")
    content[place] ^= 1
    os.chmod(path, 0o644)
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.chmod(path, times.st_mode)


def cached(project, name):
    """The copy of an output in DVC's cache; None where it is kept in git."""
    entry = re.search(
        rf"path: {name}\n +hash: md5\n +md5: (\w\w)(\w+)\n", project.read("dvc.lock").split("outs:", 1)[1]
    )
    copy = project.path / ".dvc/cache/files/md5" / entry[1] / entry[2]
    return copy if copy.is_file() else None


@pytest.mark.parametrize("name", READ_BY)
def test_a_bit_that_changed_is_noticed_and_the_commands_that_are_told_heal_it(built, project, name, torture):
    path = project.path / name
    damage(path)
    assert path.read_bytes() != built.files()[name]
    told = project.run(f"python -m pipeline.{READ_BY[name]}").stderr
    found = re.fullmatch(
        rf"error: {name}: checksum mismatch: the file was .*; to restore it: (rm -f {name}) && dvc repro\n", told
    )
    assert found, told
    if torture or name in HEALED:
        project(found[1])
        project("dvc repro")
        assert project.files() == built.files()


@pytest.mark.parametrize("name", ["weights/II.safetensors", "data/test.safetensors", "records/I.json"])
def test_the_commands_heal_a_file_whose_copy_in_dvc_s_cache_is_damaged_too(built, project, name, torture):
    if not torture and name != "weights/II.safetensors":
        pytest.skip("the long form does that")
    copy = cached(project, name)
    damage(copy)
    (project.path / name).unlink()
    project("dvc checkout", ok=None)  # brings the damaged copy, and says nothing
    if (project.path / name).is_file():
        told = project.run(f"python -m pipeline.{READ_BY[name]}").stderr
        found = re.search(rf"to restore it: (rm -f {name} \S+{copy.parent.name}/{copy.name}) && dvc repro\n", told)
        assert found, told
        project(found[1])
    project("dvc repro")
    assert project.files() == built.files()
    assert copy.read_bytes() == built.files()[name]


def test_a_file_that_is_changed_by_hand_never_reaches_the_cache(built, project):
    """DVC copies files out of its cache, and links none: what is written into one stays there."""
    for name in ("data/train.safetensors", "weights/II.safetensors", "records/III.json"):
        with (project.path / name).open("r+b") as file:
            file.seek(-3, os.SEEK_END)
            file.write(b"x")
    project("dvc repro")
    assert project.files() == built.files()


class TestEachKindOfFile:
    """A change at any place is an error: that of a checksum, or that the file is something else."""

    def changed(self, path, load, seed):
        whole, rng = path.read_bytes(), np.random.default_rng(seed)
        for place in {*rng.integers(0, len(whole), 400).tolist(), 0, len(whole) - 1}:
            content = bytearray(whole)
            content[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(content)
            try:
                found = load(path)
            except InputError:
                continue
            yield place, found
        path.write_bytes(whole)

    def test_any_changed_bit_of_an_image_set_is_noticed(self, colored, tmp_path):
        path, names = tmp_path / "x", tuple(f"train/{row}.jpg" for row in range(60))
        replace(colored, files=names, name="photos").save(path)
        for place, found in self.changed(
            path, lambda path: [load_images(path), load_images(path).images, load_images(path).files[:]], 0
        ):
            assert found[0].classes == colored.classes, place  # a blank of the header, or how a number is written
            assert np.array_equal(found[1], colored.images), place
            assert (found[2], found[0].name) == (names, "photos"), place

    def test_any_changed_bit_of_a_weights_file_is_noticed(self, tmp_path):
        path = tmp_path / "x"
        save_weights(path, STATE, CARD)
        for place, (card, state) in self.changed(path, load_weights, 1):
            assert card == CARD, place
            assert all(torch.equal(tensor, STATE[key]) for key, tensor in state.items()), place

    def test_any_changed_bit_of_a_json_file_is_noticed(self, tmp_path):
        path, content = tmp_path / "x", {"a": [1.5, "ä", None], "b": {"c": 10**20}}
        write_checked_json(path, content)
        assert read_checked_json(path, dict) == content
        for place, found in self.changed(path, lambda path: read_checked_json(path, dict), 2):
            assert found == content, place

    def test_images_are_held_to_it_as_they_are_read(self, colored, tmp_path):
        path = tmp_path / "x"
        colored.save(path)
        damage(path, at=1 - 0.5 / 60)  # the last image
        found = load_images(path)
        assert np.array_equal(found.batch(np.array([0, 58])), colored.images[[0, 58]])
        for read in (
            lambda: found.batch(np.array([3, 59])),
            lambda: found.images,
            lambda: found.select(np.array([59])).images,
        ):
            with pytest.raises(
                ChecksumMismatch, match=r"x: checksum mismatch: .*; name another file, or write it again"
            ):
                read()

    def test_weights_are_described_in_their_file(self, tmp_path):
        first = save_weights(tmp_path / "a", STATE, CARD)
        assert read_weights_checksum(tmp_path / "a") == first
        other = {key: tensor + 1 for key, tensor in STATE.items()}
        assert save_weights(tmp_path / "b", other, CARD) != first
        assert save_weights(tmp_path / "c", STATE, CARD.model_copy(update={"model": "II"})) != first


def test_files_are_copied_out_of_dvc_s_cache_where_they_can_t_be_reflinks():
    for config in (".dvc/config", "study/.dvc/config"):
        assert 'type = "reflink,copy"' in (ROOT / config).read_text()


def test_a_file_outside_a_project_can_only_be_made_again(tmp_path):
    shutil.copy(ROOT / "LICENSE", tmp_path / "dvc.lock")
    assert "name another file, or write it again" in str(ChecksumMismatch(tmp_path / "x"))
    assert "name another file, or write it again" in str(ChecksumMismatch(Path("/x")))


@pytest.mark.parametrize("name", ["params.yaml", "src/deepen/models/layers.py", "pipeline/train.py", "README.md"])
def test_the_remedy_never_removes_a_file_that_no_stage_makes(project, name):
    told = project("deepen predict", name, "LICENSE", ok=False)
    assert "name another file, or write it again" in told
    assert "rm " not in told
