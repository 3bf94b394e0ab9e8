"""Where images lie below a root: the parts, and one error that says what to type for each other layout."""

import shlex
import subprocess

import numpy as np
import pytest
from conftest import archive, photos, picture, write_tree

from deepen.config.dataset_settings import Folder
from deepen.core.errors import InputError
from deepen.datasets import load_dataset
from deepen.datasets.folder import load_folder

IMAGE = picture()


def fault(root):
    with pytest.raises(InputError) as error:
        load_folder(root, None)
    (found,) = error.value.faults
    assert found.startswith(f"{root}: ")
    assert found.isprintable()
    return found.removeprefix(f"{root}: ")


def loaded(root):
    return load_dataset(
        Folder(
            source="folder", root=str(root), size="auto", flip=True, crop=0.1, view="auto", width=1.0, least_images=1
        ),
        root.parent,
    )


class TestParts:
    @pytest.mark.parametrize("name", ["val", "valid", "validation"])
    @pytest.mark.parametrize("kind", ["folder", "zip"])
    def test_a_folder_of_validation_images_is_the_validation_part(self, tmp_path, name, kind):
        files = photos(train=6, test=2)
        files |= {f"{name}/{label}/{i}.png": picture(value=(200, i, i)) for label in ("cat", "dog") for i in range(3)}
        root = write_tree(tmp_path / "x", files) if kind == "folder" else archive(tmp_path / "x", files, kind)
        parts = loaded(root).with_held_out("validation", 0.5)
        assert {part: len(images) for part, images in parts.images.items()} == {"train": 12, "validation": 6, "test": 4}
        assert parts.origins == {"train": "from train/", "validation": f"from {name}/", "test": "from test/"}
        assert (parts.images["validation"].images[:, 0] == 200).all()

    def test_without_a_part_images_are_held_out(self, tmp_path):
        parts = loaded(write_tree(tmp_path / "x", photos(train=10, test=0))).with_held_out("validation", 0.25)
        assert {part: len(images) for part, images in parts.images.items()} == {"train": 12, "validation": 4, "test": 4}
        assert parts.origins["validation"] == "held out of train/ (25 %)"
        assert parts.origins["test"] == "held out of train/ (20 %)"

    def test_the_origin_has_the_fraction_that_rounding_left(self, tmp_path):
        parts = loaded(write_tree(tmp_path / "x", photos(train=5, test=1))).with_held_out("validation", 0.1)
        assert {part: len(images) for part, images in parts.images.items()} == {"train": 8, "validation": 2, "test": 2}
        assert parts.origins["validation"] == "held out of train/ (20 %)"

    def test_two_names_of_one_part_are_an_error(self, tmp_path):
        files = photos() | {"val/cat/1.png": IMAGE, "valid/dog/1.png": IMAGE}
        assert fault(write_tree(tmp_path, files)) == "has val/ and valid/, both for validation; keep one"

    @pytest.mark.parametrize("name", ["test", "val"])
    def test_an_empty_part_is_an_error(self, tmp_path, name):
        write_tree(tmp_path, photos(test=0))
        (tmp_path / name).mkdir()
        told = f"{name}/: contains no images; add some, or move {name}/ elsewhere, and images of train/ are held out instead"
        assert fault(tmp_path) == told
        (tmp_path / name / "cat").mkdir()
        (tmp_path / name / "cat/notes.txt").touch()
        assert fault(tmp_path) == told

    def test_an_empty_class_is_an_error_in_a_folder_and_an_archive(self, tmp_path):
        files = photos() | {"test/cat/a.txt": b""} | {"train/emu/notes.txt": b""}
        for root in (write_tree(tmp_path / "x", files), archive(tmp_path / "x.zip", files, "zip")):
            assert fault(root) == "train/emu/: contains no images; add some or remove it"

    def test_classes_that_a_part_lacks_are_told(self, tmp_path):
        files = photos(test=0) | {"test/cat/1.png": IMAGE, "train/cat/dog/1.png": picture(value=(1, 1, 1))}
        assert load_folder(write_tree(tmp_path, files), None).notes == (
            "test/ has no images of 1 of 2 classes: dog",
            "train/cat/ has folders named like other classes, counted as cat: dog",
        )

    def test_folders_around_the_parts_do_not_matter(self, tmp_path):
        around = {f"home/me/my photos/{name}": content for name, content in photos().items()}
        for root in (write_tree(tmp_path / "x", around), archive(tmp_path / "x.tar", around, "")):
            parts = load_folder(root, None)
            assert len(parts.images["train"]) == 8
            assert len(parts.images["test"]) == 4

    def test_tiny_imagenet_is_read_as_it_is_unpacked(self, tmp_path):
        files = {f"tiny/train/{name}/images/{name}_{i}.JPEG": picture(value=(i, 0, 0), format="JPEG") for name in ("n1", "n2") for i in range(4)}  # fmt: skip
        files |= {f"tiny/train/{name}/{name}_boxes.txt": b"0 0" for name in ("n1", "n2")}
        parts = load_folder(write_tree(tmp_path / "x", files), None)
        assert parts.images["train"].classes == ("n1", "n2")
        assert np.bincount(parts.images["train"].labels).tolist() == [4, 4]
        write_tree(tmp_path / "x", {"tiny/val/images/val_0.JPEG": IMAGE, "tiny/val/val_annotations.txt": b""})
        assert fault(tmp_path / "x") == (
            "val/: its images are in val/images/, not in class folders; move them into val/<class>/, or move val/ "
            "elsewhere, and images of train/ are held out instead"
        )


class TestWrongLayouts:
    """Each is one error, which says what to type or do."""

    def test_parts_of_other_names_are_an_error_with_the_commands(self, tmp_path):
        files = {
            name.replace("train", "Train").replace("test", "Testing"): content for name, content in photos().items()
        }
        root = write_tree(tmp_path / "my photos", files)
        told = fault(root)
        assert told == (
            f"has no train/, but similar folder names; rename: mv -- '{root}/Testing' '{root}/test' && "
            f"mv -- '{root}/Train' '{root}/train'"
        )
        self.followed(told.partition("rename: ")[2], root)
        packed = fault(archive(tmp_path / "x.zip", files, "zip"))
        assert packed == "has no train/, but similar folder names; rename: Testing to test, Train to train"

    def test_test_images_in_a_folder_of_another_case_are_an_error_with_the_command(self, tmp_path):
        files = {name.replace("test", "TEST"): content for name, content in photos().items()}
        assert fault(write_tree(tmp_path, files)) == (
            f"4 images, such as TEST/cat/000.png, are outside train/; rename: mv -- {tmp_path}/TEST {tmp_path}/test"
        )

    @pytest.mark.parametrize("classes", [("cat", "a dog", "-x", "e\nmu"), tuple(f"class {i}" for i in range(30))])
    @pytest.mark.parametrize("around", ["", "all/of them/"])
    def test_class_folders_beside_test_without_train_are_an_error(self, tmp_path, classes, around):
        root = write_tree(tmp_path / "it's", {f"{around}{name}/{i}.png": IMAGE for name in classes for i in range(3)})
        (root / around / "test").mkdir()
        told = fault(root)
        assert told.startswith(f"has {len(classes)} folders of images (")
        assert ") but no train/; if these are the classes, type: cd -- " in told
        subprocess.run(["bash", "-ec", told.partition("type: ")[2]], check=True)
        if "e\nmu" in classes:
            (next(root.rglob("e\nmu"))).rename(next(root.rglob("train")) / "emu")
        (root / around / "test").rmdir()
        assert len(load_folder(root, None).images["train"].classes) == len(classes)

    @pytest.mark.parametrize("below", ["", "cat"])
    def test_a_root_that_is_or_is_inside_train_is_an_error(self, tmp_path, below):
        root = write_tree(
            tmp_path / "my photos", {f"train/{name}/{i}.png": IMAGE for name in ("cat", "dog") for i in range(3)}
        )
        told = fault(root / "train" / below)
        assert told == f"is, or is inside, a folder named train; if that contains the classes, set root to '{root}'"
        assert load_folder(root, None)

    def test_a_train_folder_in_train_is_an_error(self, tmp_path):
        root = write_tree(tmp_path, {f"train/train/{name}/{i}.png": IMAGE for name in ("cat", "dog") for i in range(3)})
        assert fault(root) == (
            "has only one class, 'train'; train/ must contain at least two class folders; "
            "if train/train/ contains the classes, set root to the folder train"
        )
        assert load_folder(root / "train", None)

    def test_class_folders_beside_test_without_train_in_an_archive_are_an_error(self, tmp_path):
        files = {f"{name}/{i}.png": IMAGE for name in ("cat", "dog", "test/cat") for i in range(3)}
        assert fault(archive(tmp_path / "x.zip", files, "zip")) == (
            "has 2 folders of images (cat, dog) but no train/; if these are the classes, unpack it, move them into "
            "a folder train, and set root to the folder that contains train"
        )

    def test_folders_that_only_resemble_parts_are_an_error(self, tmp_path):
        files = {
            f"seg_{part}/seg_{part}/{name}/1.png": IMAGE for part in ("train", "test") for name in ("sea", "street")
        }
        assert fault(write_tree(tmp_path, files)) == (
            "has no train/, but seg_test, seg_train; rename the training folder to train, with the class folders "
            "directly below it"
        )

    def test_files_without_an_image_are_an_error(self, tmp_path):
        write_tree(tmp_path, {"train/cat/a.txt": b"", "train/dog/.x/1.png": IMAGE})
        assert fault(tmp_path) == (
            "no images found in train/<class>/ (skipped 1 file that is not an image: train/cat/a.txt, and skipped 1 hidden "
            "image, whose own or folder's name starts with a dot: train/dog/.x/1.png); add JPEG, PNG, WebP, BMP, TIFF, GIF "
            "or AVIF files"
        )

    @pytest.mark.parametrize("names", [
        ["images/train/{}.jpg", "labels/train/{}.txt"], ["train/images/{}.jpg", "train/labels/{}.txt"], ["images/{}.jpg", "labels/{}.txt"],
    ])  # fmt: skip
    def test_a_data_set_of_object_detection_is_an_error(self, tmp_path, names):
        files = {name.format(i): IMAGE if "image" in name else b"0 0.5" for i in range(15) for name in names}
        for root in (write_tree(tmp_path / "x", files), archive(tmp_path / "x.tar", files, "")):
            assert "as for object detection (YOLO), where folders are not classes; move the images into" in fault(root)

    def test_images_without_class_folders_beside_a_table_are_an_error(self, tmp_path):
        files = {f"{i}.png": IMAGE for i in range(12)}
        for name, told in {
            "in/labels.csv": "if in/labels.csv lists their classes, add -S datasets.folder.labels=in/labels.csv",
            "labels.xlsx": "labels.xlsx may list their classes",
        }.items():
            root = write_tree(tmp_path / name.partition(".")[2], files | {name: b"0.png,cat"})
            assert (
                fault(root)
                == f"12 images, such as 0.png, are in no class folder ({told}); move them into train/<class>/"
            )

    def test_images_in_train_itself_are_an_error(self, tmp_path):
        files = {f"train/{i}.png": IMAGE for i in range(12)}
        assert fault(write_tree(tmp_path / "x", files)) == (
            "train/: 12 images, such as train/0.png, are in no class folder; move them into train/<class>/ or remove them"
        )
        assert fault(write_tree(tmp_path / "y", photos() | {"train/x.png": IMAGE})) == (
            "train/: an image, train/x.png, is in no class folder; move them into train/<class>/ or remove them"
        )

    def test_test_images_without_class_folders_are_an_error(self, tmp_path):
        files = photos(test=0) | {f"test/{i}.png": IMAGE for i in range(12)}
        assert fault(write_tree(tmp_path, files)) == (
            "test/: 12 images, such as test/0.png, are in no class folder; move them into test/<class>/, or move test/ "
            "elsewhere, and images of train/ are held out instead"
        )

    def test_images_outside_class_folders_are_an_error(self, tmp_path):
        files = photos() | {f"more/{name}/{i}.png": IMAGE for name in ("cat", "dog") for i in range(6)}
        assert fault(write_tree(tmp_path, files)) == (
            "12 images, such as more/cat/0.png, are outside test/, train/; move them into class folders of these, or "
            "remove them"
        )

    def followed(self, command, root):
        subprocess.run(["bash", "-ec", command], check=True)
        assert len(load_folder(root, None).images["test"]) == 4


def test_commands_are_safe_to_type(tmp_path):
    root = write_tree(
        tmp_path / "x", {f"{name}/1.png": IMAGE for name in ("$(touch pwned)", "`touch pwned`", "a;b", "c'\x07\\d")}
    )
    (root / "test").mkdir()
    command = fault(root).partition("type: ")[2]
    assert len(shlex.split(command.replace("$'", "'"))) > 10
    subprocess.run(["bash", "-ec", command], check=True, cwd=tmp_path)
    assert sorted(path.name for path in (root / "train").iterdir()) == [
        "$(touch pwned)",
        "`touch pwned`",
        "a;b",
        "c'\x07\\d",
    ]
    assert not list(tmp_path.rglob("pwned"))
