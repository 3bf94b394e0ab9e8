import numpy as np
import pytest

from deepen.errors import InputError
from deepen.images import describe_images, load_images


def test_saving_and_loading_loses_nothing_and_equal_sets_are_equal_files(colored, tmp_path):
    colored.save(tmp_path / "new" / "a.safetensors")
    colored.take(np.arange(len(colored))).save(tmp_path / "b.safetensors")
    found = load_images(tmp_path / "new" / "a.safetensors")
    assert np.array_equal(found.images, colored.images)
    assert np.array_equal(found.labels, colored.labels)
    assert found.classes == colored.classes
    assert found.images.dtype == np.uint8
    assert describe_images(tmp_path / "b.safetensors") == ((3, 8, 8), ("red", "green", "blue"))
    assert (tmp_path / "new" / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("read", [load_images, describe_images])
@pytest.mark.parametrize("content", [None, b"", b"nonsense" * 10])
def test_a_file_that_is_no_image_set(tmp_path, read, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=r"x is no image set of this project .*; make it again: dvc repro prepare"):
        read(tmp_path / "x")
