"""Images whose classes are in a table: labels.csv, or the metadata.csv of Hugging Face's imagefolder."""

import os
import time
import unicodedata
from pathlib import Path

import pytest
from conftest import archive, assert_equal, photos, picture, write_tree

from deepen.config.dataset_settings import Columns, Folder
from deepen.core.errors import InputError
from deepen.datasets import load_dataset
from deepen.datasets.fingerprint import compute_fingerprint
from deepen.datasets.folder import load_folder
from deepen.datasets.judged import load_judged
from deepen.datasets.tables.choice import TableChoice

KINDS = ["folder", "zip", "", "gz", "xz"]
ALL = {"least_images": 1, "flip": True, "crop": 0.1, "view": "auto", "width": 1.0, "size": "auto", "source": "folder"}


def images(*names, **parts):
    """Images of these names, each of its own brightness."""
    return {name: picture(value=(7 * at, 3 * at, 100)) for at, name in enumerate(names)}


def table(*rows, header="file_name,label"):
    return "".join(f"{line}\n" for line in (header, *rows)).encode()


def made(path, files, kind="folder"):
    return write_tree(path, files) if kind == "folder" else archive(path, files, kind)


def load(root, labels="labels.csv", columns=None, base=Path("/nowhere")):
    return load_folder(root, None, choice=TableChoice(labels, columns or Columns(), base, "folder"))


def listed(parts):
    """The class of each image by part and file name."""
    return {
        part: {found.get_file_name(row): found.classes[found.labels[row]] for row in range(len(found))}
        for part, found in parts.images.items()
    }


def faults(root, *arguments, **options):
    with pytest.raises(InputError) as error:
        load(root, *arguments, **options)
    assert all(fault.startswith(f"{root}: ") and fault.isprintable() for fault in error.value.faults)
    return [fault.removeprefix(f"{root}: ") for fault in error.value.faults]


FLAT = images(*(f"{i}.png" for i in range(8)))
ROWS = [f"{i}.png,{'dog' if i % 2 else 'cat'}" for i in range(8)]


class TestLayouts:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("around", ["", "my photos/"])
    def test_a_flat_folder_with_a_table_is_read_as_class_folders_are(self, tmp_path, kind, around):
        files = {f"{around}{name}": content for name, content in (FLAT | {"labels.csv": table(*ROWS)}).items()}
        parts = load(made(tmp_path / "x", files, kind))
        assert parts.origins == {"train": f"from {around}labels.csv"}
        assert listed(parts) == {
            "train": {f"{around}{i}.png": "dog" if i % 2 else "cat" for i in [0, 2, 4, 6, 1, 3, 5, 7]}
        }
        assert list(listed(parts)["train"])[:2] == [f"{around}0.png", f"{around}2.png"]
        sorted_in = {f"train/{'dog' if i % 2 else 'cat'}/{i}.png": FLAT[f"{i}.png"] for i in range(8)}
        assert_equal(parts.images["train"], load_folder(write_tree(tmp_path / "y", sorted_in), None).images["train"])
        assert parts.notes == (f"{around}labels.csv: 8 rows; file names from column 'file_name', classes from 'label'",)
        assert parts.warnings == ()

    def test_without_parts_images_are_held_out(self, tmp_path):
        root = write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*ROWS)})
        dataset = Folder(root=str(root), labels="labels.csv", **ALL)
        parts = load_dataset(dataset, tmp_path).with_held_out("validation", 0.3)
        assert {part: len(found) for part, found in parts.images.items()} == {"train": 4, "validation": 2, "test": 2}
        assert parts.origins["test"] == "held out of labels.csv (25 %)"

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_split_column_tells_the_parts(self, tmp_path, kind):
        splits = ["train", "Training", "val", "VALID", "dev", "test", "testing", "train"]
        rows = [f"{row},{split}" for row, split in zip(ROWS, splits, strict=True)]
        files = FLAT | {"labels.csv": table(*rows, "8.png,cat,train", header="file_name,label,split")} | images("8.png")
        parts = load(made(tmp_path / "x", files, kind))
        assert {part: sorted(names) for part, names in listed(parts).items()} == {
            "train": ["0.png", "1.png", "7.png", "8.png"], "validation": ["2.png", "3.png", "4.png"], "test": ["5.png", "6.png"],
        }  # fmt: skip
        assert parts.origins["validation"] == "from labels.csv (split validation)"
        assert parts.notes[0].endswith("classes from 'label', parts from 'split'")

    @pytest.mark.parametrize("val", ["val", "valid", "validation"])
    def test_without_a_split_column_the_folders_tell_the_parts(self, tmp_path, val):
        names = [f"{part}/{i}.png" for part in ("train", val, "test") for i in range(4)]
        rows = [f"{name},{'dog' if i % 2 else 'cat'}" for i, name in enumerate(names)]
        parts = load(write_tree(tmp_path / "x", images(*names) | {"labels.csv": table(*rows)}))
        assert {part: len(found) for part, found in listed(parts).items()} == {"train": 4, "validation": 4, "test": 4}
        assert parts.origins["validation"] == f"from {val}/, classes from labels.csv"

    def test_a_split_column_prevails_over_folders_and_says_so(self, tmp_path):
        names = [f"train/{i}.png" for i in range(6)]
        rows = [f"{name},{'dog' if i % 2 else 'cat'},{'test' if i > 3 else 'train'}" for i, name in enumerate(names)]
        files = images(*names) | {"labels.csv": table(*rows, header="file_name,label,split")}
        parts = load(write_tree(tmp_path / "x", files))
        assert sorted(listed(parts)["test"]) == ["train/4.png", "train/5.png"]
        assert parts.warnings == (
            "labels.csv: 2 images in another part than their folder, as the split column says: train/4.png, train/5.png",
        )
        assert set(load(tmp_path / "x", columns=Columns(split="none")).images) == {"train"}

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("labels", [None, "metadata.csv"])
    def test_the_imagefolder_of_hugging_face_with_a_table_a_part(self, tmp_path, kind, labels):
        files = {}
        for part in ("train", "test"):
            files |= {
                f"{part}/{name}": picture(value=(i, i, 0))
                for i, name in enumerate(["1.png", "2.png", "more/1.png", "more/2.png"])
            }
            files[f"{part}/metadata.csv"] = table("1.png,cat", "2.png,dog", "more/1.png,dog", "more/2.png,cat")
        parts = load(made(tmp_path / "x", files, kind), labels)
        for part in ("train", "test"):
            assert listed(parts)[part] == {
                f"{part}/1.png": "cat", f"{part}/2.png": "dog", f"{part}/more/1.png": "dog", f"{part}/more/2.png": "cat",
            }  # fmt: skip
        told = parts.origins["train"]
        assert told.startswith("from train/, classes from ")
        assert sorted(told.removeprefix("from train/, classes from ").split(" and ")) == [
            "test/metadata.csv", "train/metadata.csv",
        ]  # fmt: skip

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_imagefolder_of_hugging_face_with_one_table(self, tmp_path, kind):
        rows = [f"images/{row}" for row in ROWS]
        files = {f"images/{name}": content for name, content in FLAT.items()}
        parts = load(made(tmp_path / "x", files | {"metadata.csv": table(*rows)}, kind), None)
        assert len(listed(parts)["train"]) == 8
        assert parts.origins == {"train": "from metadata.csv"}
        lines = "".join(f'{{"file_name": "images/{i}.png", "label": {i % 2}}}\n' for i in range(8)).encode()
        parts = load(made(tmp_path / "y", files | {"metadata.jsonl": lines}, kind), None)
        assert parts.images["train"].classes == ("0", "1")
        assert parts.origins == {"train": "from metadata.jsonl"}

    def test_classes_that_folders_tell_too_are_those_of_the_folders_unless_the_table_is_named(self, tmp_path):
        names = [name for name in photos(test=0) if name.startswith("train/cat")]
        rows = [f"{name},{'a' if i % 2 else 'b'}" for i, name in enumerate(names)]
        root = write_tree(tmp_path / "x", photos(test=0) | {"metadata.csv": table(*rows)})
        parts = load(root, None)
        assert parts.images["train"].classes == ("cat", "dog")
        assert parts.notes == ()
        assert parts.warnings == (
            "metadata.csv: not used, since the class folders tell the classes; to use it, add "
            "-S datasets.folder.labels=metadata.csv",
        )
        assert load(root, "metadata.csv").images["train"].classes == ("a", "b")
        write_tree(root, {"metadata.csv": table("x", header="file_name,text").replace(b"x\n", b"x,y\n")})
        assert load(root, None).warnings == ("metadata.csv: not used, since the class folders tell the classes",)

    def test_columns_without_a_table_are_told(self, tmp_path):
        root = write_tree(tmp_path / "x", photos())
        assert load(root, None, Columns(label="breed")).warnings == (
            "columns: not used, since the class folders tell the classes; to use a table, add "
            "-S datasets.folder.labels=labels.csv",
        )

    def test_metadata_without_classes_is_named_beside_the_fault_of_the_folders(self, tmp_path):
        told = faults(
            write_tree(tmp_path / "x", FLAT | {"metadata.csv": table("0.png,a cat", header="file_name,text")}), None
        )
        assert told[0].startswith("8 images, such as 0.png, are in no class folder")
        assert told[1].startswith(
            "metadata.csv: column of classes: none is named label, the columns are file_name, text; name"
        )

    def test_a_table_may_be_outside_the_images(self, tmp_path):
        root = made(tmp_path / "x.zip", {f"a/{name}": content for name, content in FLAT.items()}, "zip")
        write_tree(tmp_path / "project", {"labels.csv": table(*ROWS)})
        for labels, base in (("labels.csv", tmp_path / "project"), (str(tmp_path / "project/labels.csv"), tmp_path)):
            parts = load(root, labels, base=base)
            assert len(listed(parts)["train"]) == 8
            assert parts.origins == {"train": "from labels.csv"}

    def test_a_table_in_the_folder_may_be_named_from_the_project(self, tmp_path):
        write_tree(tmp_path / "x/in", FLAT | {"labels.csv": table(*ROWS)})
        assert len(listed(load(tmp_path / "x", "x/in/labels.csv", base=tmp_path))["train"]) == 8
        assert len(listed(load(tmp_path / "x", "in/labels.csv", base=tmp_path / "x"))["train"]) == 8


class TestNames:
    """How a row names an image."""

    @pytest.mark.parametrize(
        "name",
        ["a/b/é 1.png", "./a/b/é 1.png", "b/é 1.png", "é 1.png", "é 1", "b/é 1", r"a\b\é 1.png", r".\a\b\é 1.png",
         "a//b/é 1.png", "a/../a/b/é 1.png", unicodedata.normalize("NFD", "a/b/é 1.png"), '"a/b/é 1.png"', " a/b/é 1.png "],
    )  # fmt: skip
    @pytest.mark.parametrize("kind", ["folder", "zip"])
    def test_a_path_or_the_end_of_one_with_or_without_extension(self, tmp_path, name, kind):
        files = images("a/b/é 1.png", "a/b/2.png", "c/3.png") | {"labels.csv": table(f"{name},cat", "2.png,dog")}
        assert listed(load(made(tmp_path / "x", files, kind)))["train"]["a/b/é 1.png"] == "cat"

    def test_an_absolute_path_below_the_root(self, tmp_path):
        rows = [f"{tmp_path}/x/{row}" for row in ROWS]
        assert len(listed(load(write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*rows)})))["train"]) == 8

    def test_a_path_starts_at_the_table_before_it_starts_at_the_root(self, tmp_path):
        files = images("in/1.png", "1.png", "2.png") | {"in/labels.csv": table("1.png,cat", "2.png,dog")}
        parts = load(write_tree(tmp_path / "x", files))
        assert sorted(listed(parts)["train"]) == ["2.png", "in/1.png"]
        assert parts.warnings == ("in/labels.csv: 1 image without a row, not used: 1.png",)

    def test_an_absolute_path_starts_at_the_root_and_has_no_other_end(self, tmp_path):
        rows = [f"{tmp_path}/x/1.png,cat", "in/1.png,dog"]
        files = images("in/1.png", "1.png") | {"in/labels.csv": table(*rows)}
        assert listed(load(write_tree(tmp_path / "x", files)))["train"] == {"1.png": "cat", "in/1.png": "dog"}
        (tmp_path / "x/1.png").unlink()
        assert faults(tmp_path / "x")[0].startswith(f"in/labels.csv: line 2: no image '{tmp_path}/x/1.png'; ")

    def test_a_table_of_a_part_lists_only_images_of_it(self, tmp_path):
        files = images("train/in/1.png", "train/in/2.png", "test/1.png", "1.png", "test/2.png")
        tables = {
            "train/list/labels.csv": table("1.png,cat", "2,dog"),
            "test/list/labels.csv": table("1.png,dog", "2.png,cat"),
        }
        assert listed(load(write_tree(tmp_path / "x", files | tables))) == {
            "train": {"train/in/1.png": "cat", "train/in/2.png": "dog"}, "test": {"test/2.png": "cat", "test/1.png": "dog"},
        }  # fmt: skip

    def test_a_name_with_a_comma_or_a_backslash(self, tmp_path):
        files = images("a,b.png", "c\\d.png") | {"labels.csv": table('"a,b.png",cat', "c\\d.png,dog")}
        assert listed(load(write_tree(tmp_path / "x", files)))["train"] == {"a,b.png": "cat", "c\\d.png": "dog"}

    def test_images_without_a_row_are_told_and_not_read(self, tmp_path):
        files = FLAT | {f"new/{i}.png": b"damaged" for i in range(5)} | {"labels.csv": table(*ROWS), "a.txt": b"x"}
        for kind in KINDS:
            parts = load(made(tmp_path / f"x{kind}", files, kind))
            assert parts.warnings == (
                "labels.csv: 5 images without a row, not used: new/0.png, new/1.png, new/2.png, ... and 2 more",
            )
            assert parts.notes[1:] == ("skipped 1 file that is not an image: a.txt",)


SPLIT = "-S datasets.folder.columns.split"


class TestFaults:
    """What is wrong with rows is an error that names the first row of each kind."""

    def check(self, path, rows, *told, header="file_name,label", files=FLAT, **options):
        assert faults(write_tree(path / "x", files | {"labels.csv": table(*rows, header=header)}), **options) == [
            f"labels.csv: {fault}" for fault in told
        ]

    def test_names_without_an_image(self, tmp_path):
        self.check(
            tmp_path,
            [*ROWS, "photos/9.png,cat", "x.png,dog", "y.png,dog"],
            "line 10 and 2 more rows: no image 'photos/9.png'; add the image or remove the row, the images have names such "
            "as 0.png",
        )

    @pytest.mark.parametrize("cells", [("Training", "PublicTest"), ("train_1", ""), ("eval", "unknown")])
    def test_an_unused_column_with_cells_that_resemble_parts(self, tmp_path, cells):
        rows = [f"{row},{cells[at % 2]}" for at, row in enumerate(ROWS)]
        told = f"column 'Usage' has names of parts, such as {cells[0]}; use it with {SPLIT}=Usage, or not with {SPLIT}=none"
        self.check(tmp_path, rows, told, header="file_name,label,Usage")

    def test_an_unused_column_of_parts(self, tmp_path):
        rows = [f"{row},{'Train' if at < 6 else 'test'}" for at, row in enumerate(ROWS)]
        self.check(
            tmp_path,
            rows,
            f"column 'phase' has names of parts, such as Train; use it with {SPLIT}=phase, or not with {SPLIT}=none",
            header="file_name,label,phase",
        )
        assert len(load(tmp_path / "x", columns=Columns(split="none")).images["train"]) == 8
        assert len(load(tmp_path / "x", columns=Columns(split="phase")).images["test"]) == 2

    @pytest.mark.parametrize("name", ["is_valid", "isTest", "Train", "fold", "k-fold"])
    def test_an_unused_column_that_may_tell_the_parts(self, tmp_path, name):
        rows = [f"{row},{at % 2}" for at, row in enumerate(ROWS)]
        self.check(
            tmp_path,
            rows,
            f"column '{name}': may tell the parts; write their names in it, or omit it with {SPLIT}=none",
            header=f"file_name,label,{name}",
        )
        assert len(load(tmp_path / "x", columns=Columns(split="none")).images["train"]) == 8

    def test_a_name_in_another_case(self, tmp_path):
        self.check(tmp_path, [*ROWS[1:], "0.PNG,cat"], "line 9: no image '0.PNG'; did you mean 0.png?")

    @pytest.mark.parametrize(
        "name", ["/home/me/0.png", r"C:\photos\0.png", "C:/photos/0.png", r"\\server\photos\0.png"]
    )
    def test_absolute_paths(self, tmp_path, name):
        self.check(
            tmp_path,
            [*ROWS, f"{name},cat"],
            f"line 10: {name!a} is an absolute path elsewhere; write paths that start in the folder of the images",
        )

    def test_a_path_out_of_the_folder(self, tmp_path):
        write_tree(tmp_path, images("out.png"))
        self.check(
            tmp_path,
            [*ROWS, "../out.png,cat"],
            "line 10: no image '../out.png'; add the image or remove the row, the images have names such as 0.png",
        )

    def test_names_of_several_images(self, tmp_path):
        files = images("a/1.png", "b/1.png", "b/1.jpg")
        rows = ["1.png,cat", "b/1,dog"]
        self.check(
            tmp_path, rows, "line 2 and 1 more row: '1.png' may be a/1.png and b/1.png; write the path", files=files
        )

    def test_empty_cells(self, tmp_path):
        self.check(
            tmp_path,
            ["0.png,", "1.png, ", ",cat", *ROWS[2:]],
            "line 2 and 1 more row: '0.png' has no class; write one, or remove the row",
            "line 4: has no file name; write one, or remove the row",
        )

    def test_an_image_with_two_classes(self, tmp_path):
        self.check(
            tmp_path,
            [*ROWS, "0.png,dog", "./1.png,cat"],
            "line 10 and 1 more row: 0.png has the class 'dog', but 'cat' in line 2; an image has one class: keep one row, "
            "or leave the image out",
        )

    def test_an_image_in_two_parts(self, tmp_path):
        rows = [f"{row},{'test' if i > 5 else 'train'}" for i, row in enumerate(ROWS)]
        self.check(
            tmp_path,
            [*rows, "0.png,cat,test"],
            "line 10: 0.png is in test, but in train in line 2; keep one row",
            header="file_name,label,split",
        )

    def test_equal_rows_are_used_once_and_told(self, tmp_path):
        root = write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*ROWS, *ROWS[:2])})
        assert load(root).warnings == ("labels.csv: 2 rows repeated, used once: 0.png, 1.png",)
        assert len(load(root).images["train"]) == 8

    def test_unknown_and_empty_splits(self, tmp_path):
        rows = [f"{row},train" for row in ROWS[3:]]
        self.check(
            tmp_path,
            ["0.png,cat,trian", "1.png,dog,fold 1", "2.png,cat,", *rows],
            "line 2 and 2 more rows: the split 'trian' is unknown; did you mean train?",
            header="file_name,label,split",
        )
        self.check(
            tmp_path / "y",
            ["1.png,dog,", *rows],
            "line 2: has no split; write train, validation or test, or ignore the column with "
            "-S datasets.folder.columns.split=none",
            header="file_name,label,split",
        )

    def test_images_outside_the_parts(self, tmp_path):
        files = images("train/1.png", "train/2.png", "3.png", "4.png")
        self.check(
            tmp_path,
            ["train/1.png,cat", "train/2.png,dog", "3.png,cat", "4.png,dog"],
            "lists 2 images outside train/, such as 3.png; move all listed images into these folders, or add a column split "
            "with train, validation or test",
            files=files,
        )

    def test_no_training_images(self, tmp_path):
        self.check(
            tmp_path,
            [f"{row},test" for row in ROWS],
            "lists no training images; list some, in the split or folder train",
            header="file_name,label,split",
        )

    def test_one_class(self, tmp_path):
        self.check(tmp_path, ["0.png,cat"], "has only one class for training, 'cat'; list images of at least two")

    def test_a_class_without_training_images(self, tmp_path):
        rows = [f"{row},train" for row in ROWS[:6]]
        self.check(
            tmp_path,
            [*rows, "6.png,emu,test"],
            "class 'emu' has test images, but none for training; list some, or remove its rows",
            header="file_name,label,split",
        )

    @pytest.mark.parametrize(
        "cell", ['"cat,dog"', "cat|dog", "dog;cat", '"[""cat"", ""dog""]"', "['cat']", '"cat, dog"', "{'cat': 1}"]
    )
    def test_several_classes_in_one_cell(self, tmp_path, cell):
        told = faults(write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*ROWS[1:], f"0.png,{cell}")}))
        assert len(told) == 1
        assert told[0].startswith("labels.csv: several classes in one cell, such as ")
        assert told[0].endswith(
            "; keep the images of one class, or write one name for each combination, such as 'cat and dog'"
        )

    def test_names_of_classes_that_contain_a_delimiter_are_allowed(self, tmp_path):
        names = ['"cherry, sour"', "a|b", "apple"]
        rows = [f"{i}.png,{names[i % 3]}" for i in range(8)]
        found = load(write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*rows)}))
        assert found.images["train"].classes == ("apple", "a|b", "cherry, sour")

    def test_one_of_several_tables(self, tmp_path):
        files = FLAT | {"a/labels.csv": table(*ROWS), "b/labels.csv": table(*ROWS)}
        assert faults(write_tree(tmp_path / "x", files)) == [
            "more than one table may list the classes: a/labels.csv, b/labels.csv; keep one"
        ]
        write_tree(tmp_path, {"labels.csv": table(*ROWS)})
        (tmp_path / "x/b/labels.csv").unlink()
        assert faults(tmp_path / "x", base=tmp_path) == [
            "more than one table may list the classes: a/labels.csv, labels.csv outside the images; keep one"
        ]
        both = {f"train/{name}": content for name, content in FLAT.items()} | {"train/metadata.csv": table(*ROWS)}
        write_tree(tmp_path / "z", both | {"train/metadata.jsonl": b'{"file_name": "0.png", "label": 1}\n'})
        assert faults(tmp_path / "z", None) == [
            "more than one table may list the classes: train/metadata.csv, train/metadata.jsonl; keep one"
        ]

    def test_a_missing_table(self, tmp_path):
        root = write_tree(tmp_path / "x", FLAT | {"list.csv": table(*ROWS)})
        assert faults(root) == [
            "labels.csv: no such file in it or in the project folder; choose the table with -S datasets.folder.labels=list.csv"
        ]
        assert faults(root, "~nobody-here/x.csv")[0].startswith("~nobody-here/x.csv: no such file in it or in")
        (root / "list.csv").unlink()
        assert faults(root) == ["labels.csv: no such file in it or in the project folder; correct its name"]

    def test_a_table_that_cannot_be_read(self, tmp_path):
        root = write_tree(tmp_path / "x", FLAT)
        (root / "labels.csv").symlink_to("nothing")
        assert faults(root) == ["labels.csv: can't be read (No such file or directory); make it readable"]

    def test_a_table_of_the_wrong_form_is_named(self, tmp_path):
        assert faults(write_tree(tmp_path / "x", FLAT | {"labels.csv": b"\xff"}))[0].startswith("labels.csv: not UTF-8")

    def test_each_kind_of_fault_and_each_table_is_told(self, tmp_path):
        files = images("train/1.png", "test/1.png") | {"train/metadata.csv": table("x.png,cat", "1.png,", ",dog")}
        root = write_tree(tmp_path / "x", files | {"test/metadata.csv": table("1.png,", header="file_name,name")})
        told = faults(root, "metadata.csv")
        assert [fault.partition(": ")[0] for fault in told] == ["test/metadata.csv", *["train/metadata.csv"] * 3]

    def test_an_image_that_cannot_be_read_and_one_that_occurs_twice(self, tmp_path):
        assert faults(write_tree(tmp_path / "x", FLAT | {"0.png": b"x", "labels.csv": table(*ROWS)}))[0].startswith(
            "0.png: "
        )
        twice = [*FLAT.items(), ("0.png", FLAT["0.png"]), ("labels.csv", table(*ROWS))]
        assert faults(archive(tmp_path / "y", Pairs(twice), "")) == ["0.png: occurs twice; keep one"]
        told = faults(archive(tmp_path / "z", Pairs([*FLAT.items(), *[("labels.csv", table(*ROWS))] * 2]), ""))
        assert told == ["labels.csv: occurs twice; keep one"]

    def test_images_of_several_sizes(self, tmp_path):
        files = FLAT | {"0.png": picture(size=(9, 9)), "labels.csv": table(*ROWS)}
        assert faults(write_tree(tmp_path / "x", files))[0].startswith(
            "has images of 2 sizes, from 8x8 to 9x9 pixels; set"
        )


class Pairs:
    """Files in an archive, of which several may have one name."""

    def __init__(self, pairs):
        self.pairs = pairs

    def items(self):
        return self.pairs


class TestClasses:
    def classes(self, path, labels):
        rows = [f"{i}.png,{labels[i % len(labels)]}" for i in range(24)]
        files = images(*(f"{i}.png" for i in range(24))) | {"labels.csv": table(*rows)}
        return write_tree(path / "x", files)

    def test_numbers_are_in_the_order_of_numbers(self, tmp_path):
        found = load(self.classes(tmp_path, ["10", "9", "2", "-1", "1.5"])).images["train"]
        assert found.classes == ("-1", "1.5", "2", "9", "10")
        assert found.classes[found.labels[-1]] == "10"
        assert load(self.classes(tmp_path / "y", ["10", "9", "x"])).images["train"].classes == ("10", "9", "x")

    @pytest.mark.parametrize(("labels", "told"), [(["1", "01", "2"], "'01', '1'"), (["3", "2", "2.0"], "'2', '2.0'")])
    def test_a_number_written_in_two_ways_is_an_error(self, tmp_path, labels, told):
        assert faults(self.classes(tmp_path, labels)) == [
            f"labels.csv: classes {told} are the same number; write it in one way"
        ]

    @pytest.mark.parametrize("name", ["$x_{$ | =1+1", "NA", "None", "گربه", "a/b", "../x", "🐈"])
    def test_odd_names_are_allowed(self, tmp_path, name):
        assert name in load(self.classes(tmp_path, [name, "dog"])).images["train"].classes

    @pytest.mark.parametrize("name", ['"a\nb"', "a\x1bb", "\u202egod"])
    def test_names_that_cannot_be_printed_are_an_error(self, tmp_path, name):
        assert faults(self.classes(tmp_path, [name, "dog"]))[0].startswith("labels.csv: class name ")

    def test_accents_may_be_composed_or_not(self, tmp_path):
        names = ["é", unicodedata.normalize("NFD", "é"), "dog"]
        assert load(self.classes(tmp_path, names)).images["train"].classes == ("dog", "é")

    def test_names_that_differ_in_case_or_list_others_are_told(self, tmp_path):
        assert load(self.classes(tmp_path, ["Cat", "cat", "ice", "cream", "ice cream"])).warnings == (
            "labels.csv: classes that differ only in upper and lower case or spaces: 'Cat', 'cat'",
            "labels.csv: classes whose words are classes too: 'ice cream'; an image has only one class",
        )

    def test_classes_that_a_part_lacks_are_told(self, tmp_path):
        rows = [f"{row},{'test' if i > 6 else 'train'}" for i, row in enumerate(ROWS)]
        root = write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*rows, header="file_name,label,split")})
        assert load(root).notes[-1] == "test has no images of 1 of 2 classes: cat"


class TestEvaluation:
    def judge(self, root, part=None, labels="labels.csv", classes=("dog", "cat", "emu"), columns=None):
        choice = TableChoice(labels, columns or Columns(), Path("/nowhere"))
        found = load_judged(root, classes, (3, 8, 8), part, choice)
        names = [found.images.get_file_name(row) for row in range(len(found.images))]
        return found, {name: classes[label] for name, label in zip(names, found.images.labels, strict=True)}

    def refuse(self, root, **options):
        with pytest.raises(InputError) as error:
            self.judge(root, **options)
        return [fault.removeprefix(f"{root}: ") for fault in error.value.faults]

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_images_of_a_table(self, tmp_path, kind):
        found, labels = self.judge(made(tmp_path / "x", FLAT | {"labels.csv": table(*ROWS)}, kind))
        assert labels == {f"{i}.png": "dog" if i % 2 else "cat" for i in range(8)}
        assert found.part is None
        assert found.images.images[0].tolist() == load(tmp_path / "x").images["train"].images[4].tolist()

    def test_the_images_of_a_part(self, tmp_path):
        rows = [f"{row},{['train', 'val', 'test'][i % 3]}" for i, row in enumerate(ROWS)]
        root = write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*rows, header="file_name,label,split")})
        assert sorted(self.judge(root)[1]) == ["2.png", "5.png"]
        found, labels = self.judge(root, "valid")
        assert (found.part, sorted(labels)) == ("valid", ["1.png", "4.png", "7.png"])
        assert len(self.judge(root, columns=Columns(split="none"))[1]) == 8

    def test_hugging_face_metadata_is_found(self, tmp_path, capsys):
        files = {f"test/{name}": content for name, content in FLAT.items()} | {"test/metadata.csv": table(*ROWS)}
        found, labels = self.judge(write_tree(tmp_path / "x", files | images("train/1.png")), labels=None)
        assert (found.part, len(labels)) == ("test", 8)
        assert capsys.readouterr().err == "warning: test/metadata.csv: 1 image without a row, not used: train/1.png\n"

    def test_faults(self, tmp_path):
        root = write_tree(tmp_path / "x", FLAT | {"labels.csv": table(*ROWS)})
        assert self.refuse(root, classes=("dog", "emu")) == [
            "labels.csv: class 'cat' of 4 images, such as 0.png, is not one of the network's (dog, emu); rename it, or "
            "remove its rows"
        ]
        assert self.refuse(root, part="val") == ["labels.csv: tells no parts, so it has no part val; omit --part"]
        rows = [f"{row},train" for row in ROWS]
        write_tree(root, {"labels.csv": table(*rows, header="file_name,label,split")})
        assert self.refuse(root) == [
            "labels.csv: lists images of train, but none of test; choose one with --part train"
        ]
        assert self.refuse(root, labels="x.csv") == [
            "x.csv: no such file in it or in the current folder; choose the table with --labels=labels.csv"
        ]
        (root / "0.png").write_bytes(b"x")
        assert self.refuse(root, part="train")[0].startswith("0.png: ")

    def test_metadata_without_classes_is_named(self, tmp_path):
        root = write_tree(tmp_path / "x", FLAT | {"metadata.csv": table("0.png,x", header="file_name,text")})
        assert self.refuse(root, labels=None)[-1].startswith("metadata.csv: column of classes: none is named label")


class TestFingerprint:
    def told(self, root, labels, base):
        return compute_fingerprint(Folder(root=str(root), labels=labels, **ALL), base)

    @pytest.mark.parametrize("kind", ["folder", "zip"])
    @pytest.mark.parametrize("where", ["x/labels.csv", "labels.csv"])
    def test_a_change_of_the_table_changes_the_fingerprint(self, tmp_path, kind, where):
        if kind == "zip" and where != "labels.csv":
            pytest.skip("the archive changes with it")
        made(tmp_path / "x", FLAT, kind)
        write_tree(tmp_path, {where: table(*ROWS)})
        before = self.told(tmp_path / "x", "labels.csv", tmp_path)
        assert before == self.told(tmp_path / "x", "labels.csv", tmp_path)
        time.sleep(0.01)
        write_tree(tmp_path, {where: table(*reversed(ROWS))})
        assert self.told(tmp_path / "x", "labels.csv", tmp_path) != before
        os.unlink(tmp_path / where)
        assert self.told(tmp_path / "x", "labels.csv", tmp_path)["files"] == before["files"] - 1
