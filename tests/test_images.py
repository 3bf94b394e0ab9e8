from dataclasses import replace

import numpy as np
import pytest
from conftest import assert_equal
from safetensors import safe_open
from safetensors.numpy import save_file

from deepen.core.checksums import ChecksumMismatch
from deepen.core.errors import InputError, quote
from deepen.core.names import find_class_name_faults
from deepen.data import images as module
from deepen.data.images import ImageSet, load_images


def test_saving_and_loading_loses_nothing_and_equal_sets_are_equal_files(colored, tmp_path):
    colored.save(tmp_path / "new" / "a.safetensors")
    colored.select(np.arange(len(colored))).save(tmp_path / "b.safetensors")
    found = load_images(tmp_path / "new" / "a.safetensors")
    assert np.array_equal(found.images, colored.images)
    assert np.array_equal(found.labels, colored.labels)
    assert found.classes == colored.classes
    assert found.images.dtype == np.uint8
    assert (tmp_path / "new" / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"nonsense" * 10])
def test_a_file_that_is_not_an_image_set_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=r"x: invalid image set .*; name another file, or write it again"):
        load_images(tmp_path / "x")


@pytest.mark.parametrize("count", [0, 1, 60])
@pytest.mark.parametrize("names", [("a", "b", "c"), ('"\\/', "\u06af \U0001f408 \x7f", "x" * 100)])
def test_the_bytes_are_those_of_the_library_however_many_are_written_at_once(
    colored, tmp_path, monkeypatch, count, names
):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 7 * 3 * 8 * 8)
    found = ImageSet(colored.images[:count], colored.labels[:count], names, origin="test/", notes=("one", "two"))
    found.save(tmp_path / "ours")
    with safe_open(tmp_path / "ours", framework="numpy") as file:
        save_file({name: file.get_tensor(name) for name in file.keys()}, tmp_path / "theirs", file.metadata())  # noqa: SIM118
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    again = load_images(tmp_path / "theirs")
    assert_equal(again, found)
    assert (again.origin, again.notes) == ("test/", ("one", "two"))


class TestFiles:
    """Images that were files keep their names."""

    NAMES = tuple(f"train/größe/{i}\n\x1b\udcff.jpg" if i % 3 else f"train/{'x' * i}.jpg" for i in range(60))
    PRINTABLE = tuple(map(quote, NAMES))

    def test_file_names_stay_with_their_images_and_can_be_printed(self, colored, tmp_path):
        named = replace(colored, files=self.NAMES, name="photos")
        rows = np.array([59, 0, 0, 7])
        named.select(np.arange(59, -1, -1)).select(59 - rows).save(tmp_path / "x")
        found = load_images(tmp_path / "x")
        assert_equal(found, named.select(rows))
        assert tuple(found.files) == found.files[:] == tuple(self.PRINTABLE[row] for row in rows)
        assert [found.get_file_name(row) for row in range(4)] == [found.files[-4], *found.files[1:]]
        assert all(name.isprintable() for name in found.files)
        assert found.name == "photos"
        found.select(np.array([3, 1])).save(tmp_path / "y")
        assert load_images(tmp_path / "y").files[:] == (self.PRINTABLE[7], self.PRINTABLE[0])
        with pytest.raises(IndexError):
            found.files[4]

    def test_images_that_are_not_files_have_no_names(self, colored, tmp_path):
        colored.save(tmp_path / "x")
        assert (len(load_images(tmp_path / "x").files), load_images(tmp_path / "x").get_file_name(3)) == (0, "")

    def test_the_bytes_are_those_of_the_library_and_of_each_equal_set(self, colored, tmp_path):
        replace(colored, files=self.NAMES).save(tmp_path / "a")
        load_images(tmp_path / "a").select(np.arange(60)).save(tmp_path / "b")
        with safe_open(tmp_path / "a", framework="numpy") as file:
            save_file({name: file.get_tensor(name) for name in file.keys()}, tmp_path / "c", file.metadata())  # noqa: SIM118
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()

    def test_a_name_that_changed_is_noticed_and_who_asks_for_none_does_not_read_it(self, colored, tmp_path):
        replace(colored, files=self.NAMES).save(tmp_path / "x")
        whole = (tmp_path / "x").read_bytes()
        for changed in (b"/xyx.jpg", b"/xxx\njpg"):
            (tmp_path / "x").write_bytes(whole.replace(b"/xxx.jpg", changed, 1))
            found = load_images(tmp_path / "x")
            assert_equal(found, colored)
            with pytest.raises(ChecksumMismatch, match="x: checksum mismatch"):
                found.get_file_name(50)

    def test_as_many_file_names_as_images_are_required(self, colored):
        with pytest.raises(ValueError, match="59 file names for 60 images"):
            replace(colored, files=self.NAMES[1:]).validate()


def test_images_of_a_file_are_mapped_and_those_that_are_chosen_not_copied(colored, tmp_path):
    colored.save(tmp_path / "x")
    whole = load_images(tmp_path / "x")
    some = whole.select(np.arange(59, -1, -2)).select(np.array([0, 5, 3]))
    assert np.shares_memory(some.stored, whole.images)
    assert_equal(some, colored.select(np.array([59, 49, 53])))
    some.save(tmp_path / "y")
    assert_equal(load_images(tmp_path / "y"), some)
    with pytest.raises(ValueError, match="read-only"):
        whole.images[0] = 0
    colored.select(np.arange(3)).save(tmp_path / "x")  # a file that takes its place changes nothing of what is mapped
    assert_equal(whole, colored)


def test_each_damage_of_an_image_set_is_an_error(colored, tmp_path):
    colored.save(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    damages = [whole[:-1], whole + b"x", whole[:5], whole[:200], b"\xff" * 8 + whole[8:], whole.replace(b"U8", b"I8")]
    for content in damages:
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(InputError, match="invalid image set"):
            load_images(tmp_path / "x")


@pytest.mark.parametrize(
    ("names", "faults"),
    [
        (["cat", "größter", "a b", "\u6bdb", "-1"], []),
        (["cat", "dog", "cat", "cat"], ["duplicate class name 'cat': 3 classes have it; rename all but one"]),
        (["", "a"], ["class name '' is empty; rename it"]),
        ([" ", "a"], ["class name ' ' has leading or trailing whitespace; rename it"]),
        (["a ", " b", "\xa0c", "d"], [f"class name {name!a} has leading or trailing whitespace; rename it" for name in ("a ", " b", "\xa0c")]),
        (["a\n", "x" * 100 + "\0"], [f"class name {name!a} has a line break, control character, bidirectional control or lone surrogate; rename it" for name in ("a\n", "x" * 60)]),
    ],
    ids=range(6),
)  # fmt: skip
def test_names_of_classes_can_be_told_apart_and_written(names, faults):
    assert find_class_name_faults(names) == faults
