import hashlib
import io
import tarfile
import unicodedata
from pathlib import Path

import pytest
from conftest import archive, assert_equal, photos, picture, train_and_test, write_tree
from PIL import Image

from deepen.core.errors import InputError, quote
from deepen.datasets.folder import load_folder
from deepen.datasets.image_sets import data_name
from deepen.datasets.tables.choice import TableChoice


def told(root, size=None):
    with pytest.raises(InputError) as error:
        load_folder(root, size)
    return list(error.value.faults)


class TestFolder:
    def test_images_labels_and_classes_in_the_order_of_names(self, tmp_path):
        files = photos()
        train, test = train_and_test(write_tree(tmp_path, files))
        assert train.classes == ("cat", "dog")
        assert train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
        assert train.images.shape == (8, 3, 8, 8)
        assert train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 60, 61, 62, 63]
        assert test.labels.tolist() == [0, 0, 1, 1]

    @pytest.mark.parametrize("kind", ["", "gz", "xz", "zip"])
    @pytest.mark.parametrize("top", ["", "my photos/", "./"])
    def test_an_archive_is_read_as_the_directory_it_holds(self, tmp_path, kind, top):
        files = photos()
        shuffled = {
            top + name: files[name] for name in sorted(files, key=lambda name: hashlib.md5(name.encode()).digest())
        }
        path = archive(tmp_path / "images.bin", shuffled, kind)
        for ours, theirs in zip(train_and_test(path), train_and_test(write_tree(tmp_path / "d", files)), strict=True):
            assert_equal(ours, theirs)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["d", "images.bin"]

    @pytest.mark.parametrize(
        ("name", "told"),
        [("photos.zip", "photos"), ("my.photos.TAR.GZ", "my.photos"), ("a.tgz", "a"), ("zip", "zip"), (".zip", ".zip"), ("b\n.tar", "'b\\n'")],
    )  # fmt: skip
    def test_the_data_is_called_as_its_archive_or_folder_and_nothing_above(self, tmp_path, monkeypatch, name, told):
        assert train_and_test(archive(tmp_path / name, photos(), "zip"))[0].name == told
        assert train_and_test(write_tree(tmp_path / "x" / name, photos()))[0].name == quote(name)
        monkeypatch.chdir(tmp_path / "x" / name / "train")
        assert data_name(Path("..")) == quote(name)
        assert data_name(Path("/")) == "folder"

    def test_images_keep_the_names_of_their_files(self, tmp_path):
        files = photos() | {"train/cat/é/1.png": picture()}
        apart = {unicodedata.normalize("NFD", f"around/{name}"): content for name, content in files.items()}
        train, test = train_and_test(write_tree(tmp_path / "d", files))
        zipped, _ = train_and_test(archive(tmp_path / "x", apart, "zip"))
        names = [train.get_file_name(row) for row in range(len(train))]
        assert names == sorted(name for name in files if name.startswith("train/"))
        assert [test.get_file_name(row) for row in range(len(test))] == sorted(files.keys() - {*names})
        assert [zipped.get_file_name(row) for row in range(len(train))] == [f"around/{name}" for name in names]

    def test_order_is_that_of_composed_names_whatever_the_disk_makes_of_them(self, tmp_path):
        names = ["é", "z", "Å"]
        sets = []
        for form in ("NFC", "NFD"):
            files = {
                f"train/{unicodedata.normalize(form, name)}/1.png": picture(value=(i, 0, 0))
                for i, name in enumerate(names)
            }
            sets.append(train_and_test(archive(tmp_path / form, files, "zip"))[0])
        assert_equal(*sets)
        assert sets[0].classes == ("z", "Å", "é")

    @pytest.mark.parametrize(
        ("suffix", "form"), [("jpg", "JPEG"), ("JPEG", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("bmp", "BMP")]
    )
    def test_each_image_format_is_read(self, tmp_path, suffix, form):
        files = {
            f"train/{name}/1.{suffix}": picture(value=value, format=form)
            for name, value in (("a", (250, 0, 0)), ("b", (0, 0, 250)))
        }
        train, _ = train_and_test(write_tree(tmp_path, files))
        assert train.images[0, 0].min() > 230 > 20 > train.images[0, 2].max()

    def test_sizes_are_resized_and_centre_cropped(self, tmp_path):
        wide = Image.new("RGB", (60, 20), "red")
        wide.paste("blue", (20, 0, 40, 20))
        file = io.BytesIO()
        wide.save(file, "PNG")
        files = photos(test=0) | {"train/cat/wide.png": file.getvalue()}
        train, test = train_and_test(write_tree(tmp_path, files), 10)
        assert test is None
        assert train.images.shape == (9, 3, 10, 10)
        assert (train.images[4][2, :, 2:-2] > 250).all()  # the middle third is blue, and it alone is left
        assert told(tmp_path)[0].endswith(
            "has images of 2 sizes, from 8x8 to 60x20 pixels; set one for all, for example with "
            "-S datasets.folder.size=64, or size: 64 below datasets.folder in params.yaml"
        )
        with pytest.raises(InputError, match=r"with -S datasets\.mine\.size=64, or size: 64 below datasets\.mine in"):
            load_folder(tmp_path, None, choice=TableChoice(entry="mine"))

    def test_grey_stays_one_channel_until_a_color_joins(self, tmp_path):
        files = {f"train/{name}/{i}.png": picture("L", value=10 * i) for name in "ab" for i in range(2)}
        assert train_and_test(write_tree(tmp_path, files))[0].images.shape == (4, 1, 8, 8)
        write_tree(tmp_path, {"train/a/2.png": picture(value=(1, 2, 3))})
        train, _ = train_and_test(tmp_path)
        assert train.images.shape == (5, 3, 8, 8)
        assert (train.images[1] == 10).all()


class TestFolderFaults:
    @pytest.mark.parametrize(
        ("files", "fault"),
        [
            (
                {"train/cat/bad.png": b"no image"},
                "train/cat/bad.png: can't be read as an image (unknown format; supported: JPEG",
            ),
            (
                {"train/cat/cut.png": picture(size=(64, 64), value=(7, 8, 9))[:90]},
                "train/cat/cut.png: can't be read as an image",
            ),
            (
                {"train/cat/cut.jpg": picture(size=(64, 64), format="JPEG")[:400]},
                "train/cat/cut.jpg: can't be read as an image",
            ),
            ({"train/cat/empty.jpg": b""}, "train/cat/empty.jpg: can't be read as an image"),
            (
                {"train/cat/x.heic": b""},
                "train/cat/x.heic: can't be read as an image (HEIC is not supported; convert it to JPEG or PNG); replace",
            ),
            (
                {"train/cat/x.NEF": picture(format="TIFF")},
                "train/cat/x.NEF: can't be read as an image (raw camera data is not supported; convert it to JPEG or PNG)",
            ),
            ({"train/cat/notes": picture()[:40]}, "train/cat/notes: can't be read as an image"),
            (
                {"other/train/cat/1.png": picture()},
                "more than one folder contains train, val or test: ., other; keep one",
            ),
            (
                {"test/bird/1.png": picture()},
                "test/bird/: this class is missing in train/; add train/bird/ or remove it",
            ),
        ],
    )
    def test_each_fault_of_an_image_names_its_file(self, tmp_path, files, fault):
        found = told(write_tree(tmp_path / "photos", photos() | files))
        assert any(fault in line for line in found), found
        assert all(line.startswith(str(tmp_path / "photos")) for line in found)

    def test_all_faults_of_a_folder_are_reported_together_up_to_a_screen(self, tmp_path):
        found = told(write_tree(tmp_path, {f"train/cat/{i}.png": b"" for i in range(30)} | photos()))
        assert len(found) == 11
        assert "... and 20 more" in found[-1]

    def test_a_class_without_images_is_an_error(self, tmp_path):
        (write_tree(tmp_path, photos()) / "train" / "bird").mkdir()
        assert told(tmp_path) == [f"{tmp_path}: train/bird/: contains no images; add some or remove it"]

    def test_a_folder_without_images_is_an_error(self, tmp_path):
        assert told(tmp_path) == [
            f"{tmp_path}: no images found in train/<class>/; add JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF files"
        ]

    def test_a_single_class_is_an_error(self, tmp_path):
        assert (
            "has only one class, 'cat'; train/ must contain at least two class folders"
            in told(write_tree(tmp_path, photos(classes=("cat",))))[0]
        )

    def test_a_name_that_occurs_twice_in_an_archive_is_an_error(self, tmp_path):
        path = archive(tmp_path / "x.tar", photos() | {"./train/cat/000.png": picture()}, "")
        assert told(path) == [f"{path}: train/cat/000.png: occurs twice; keep one"]

    def test_a_missing_root_is_an_error(self, tmp_path):
        assert (
            "no such file or directory; set root to a folder or an archive with train/<class>/*"
            in told(tmp_path / "x")[0]
        )

    @pytest.mark.parametrize("content", [b"", b"nonsense" * 200])
    def test_a_file_that_is_not_an_archive_is_an_error(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        assert "is not a valid .tar, .tar.gz, .tar.xz or .zip archive" in told(tmp_path / "x")[0]

    def test_an_image_that_can_t_be_read_is_an_error(self, tmp_path):
        path = write_tree(tmp_path, {"x.png": picture()}) / "x.png"
        assert told(path) == [f"{path}: is an image (PNG), not a folder or archive; name one with the images"]

    @pytest.mark.parametrize("kind", ["", "gz", "xz"])
    def test_a_truncated_archive_is_an_error(self, tmp_path, kind):
        path = archive(tmp_path / "x", photos(train=200, size=(9, 9)), kind)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])
        (fault,) = told(path)
        assert "is not a valid .tar, .tar.gz, .tar.xz or .zip archive" in fault

    @pytest.mark.parametrize("kind", ["", "zip"])
    @pytest.mark.parametrize(
        "name", ["../train/cat/1.png", "train/../../1.png", "/train/cat/1.png", "train\\cat\\1.png"]
    )
    def test_a_path_that_points_outside_the_archive_is_an_error(self, tmp_path, kind, name):
        path = archive(tmp_path / "x", photos() | {name: picture()}, kind)
        fault = "points outside the archive; create it again with relative paths"
        if "\\" in name:
            fault = "contains a backslash, as some Windows programs write; create it again with slashes"
        assert told(path) == [f"{path}: {name!a} {fault}"]

    def test_a_link_in_an_archive_is_an_error(self, tmp_path):
        with tarfile.open(tmp_path / "x", "w") as file:
            member = tarfile.TarInfo("train/cat/1.png")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            file.addfile(member)
        assert (
            "'train/cat/1.png' is a link or device, not a file; create the archive with regular files"
            in told(tmp_path / "x")[0]
        )
