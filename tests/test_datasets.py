import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import photos, picture, write_tree
from PIL import Image

from deepen.datasets import load_dataset
from deepen.datasets.folder import decode, load_folder
from deepen.datasets.split import hold_out
from deepen.errors import InputError
from deepen.images import ImageSet
from deepen.settings import Digits, Downloaded, Folder
from deepen.statistics import compute_statistics

CIFAR10_JPEG = Path(os.environ.get("CIFAR10_JPEG", Path(__file__).parents[2] / "shared/data/cifar10-jpeg.tar.xz"))


def archive(path, files, kind):
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, content in files.items():
                file.writestr(name, content)
        return path
    with tarfile.open(path, f"w:{kind}") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def told(root, size=None):
    with pytest.raises(InputError) as error:
        load_folder(root, size)
    return list(error.value.faults)


def assert_equal(one, other):
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.labels, other.labels)
    assert one.classes == other.classes


class TestFolder:
    def test_images_labels_and_classes_in_the_order_of_names(self, tmp_path):
        files = photos()
        train, test = load_folder(write_tree(tmp_path, files), None)
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
        for ours, theirs in zip(
            load_folder(path, None), load_folder(write_tree(tmp_path / "d", files), None), strict=True
        ):
            assert_equal(ours, theirs)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["d", "images.bin"]

    def test_order_is_that_of_composed_names_whatever_the_disk_makes_of_them(self, tmp_path):
        names = ["é", "z", "Å"]
        sets = []
        for form in ("NFC", "NFD"):
            files = {
                f"train/{unicodedata.normalize(form, name)}/1.png": picture(value=(i, 0, 0))
                for i, name in enumerate(names)
            }
            sets.append(load_folder(archive(tmp_path / form, files, "zip"), None)[0])
        assert_equal(*sets)
        assert sets[0].classes == ("z", "Å", "é")

    @pytest.mark.parametrize(
        ("suffix", "form"), [("jpg", "JPEG"), ("JPEG", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("bmp", "BMP")]
    )
    def test_formats(self, tmp_path, suffix, form):
        files = {
            f"train/{name}/1.{suffix}": picture(value=value, format=form)
            for name, value in (("a", (250, 0, 0)), ("b", (0, 0, 250)))
        }
        train, _ = load_folder(write_tree(tmp_path, files), None)
        assert train.images[0, 0].min() > 230 > 20 > train.images[0, 2].max()

    def test_sizes_are_resized_and_centre_cropped(self, tmp_path):
        wide = Image.new("RGB", (60, 20), "red")
        wide.paste("blue", (20, 0, 40, 20))
        file = io.BytesIO()
        wide.save(file, "PNG")
        files = photos(test=0) | {"train/cat/wide.png": file.getvalue()}
        train, test = load_folder(write_tree(tmp_path, files), 10)
        assert test is None
        assert train.images.shape == (9, 3, 10, 10)
        assert (train.images[4][2, :, 2:-2] > 250).all()  # the middle third is blue, and it alone is left
        assert "has images of 2 sizes, from 8x8 to 60x20 pixels; set size, for example size: 32" in told(tmp_path)[0]

    def test_grey_stays_one_channel_until_a_color_joins(self, tmp_path):
        files = {f"train/{name}/{i}.png": picture("L", value=10 * i) for name in "ab" for i in range(2)}
        assert load_folder(write_tree(tmp_path, files), None)[0].images.shape == (4, 1, 8, 8)
        write_tree(tmp_path, {"train/a/2.png": picture(value=(1, 2, 3))})
        train, _ = load_folder(tmp_path, None)
        assert train.images.shape == (5, 3, 8, 8)
        assert (train.images[1] == 10).all()

    def test_clutter_is_passed_over(self, tmp_path):
        clutter = dict.fromkeys(
            (".DS_Store", "train/.DS_Store", "train/cat/Thumbs.db", "train/cat/._1.png", "README.md"), b"x"
        )
        assert len(load_folder(write_tree(tmp_path, photos() | clutter), None)[0]) == 8

    def test_links_to_a_folder_above_end(self, tmp_path):
        write_tree(tmp_path, photos())
        (tmp_path / "loop").symlink_to(tmp_path)
        assert all("lies neither in" in fault or "more like" in fault for fault in told(tmp_path))


class TestFolderFaults:
    @pytest.mark.parametrize(
        ("files", "fault"),
        [
            (
                {"train/cat/bad.png": b"no image"},
                "train/cat/bad.png: can't be read as an image (no PNG, nor any other of JPEG",
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
                "train/cat/x.heic: is no .jpg, .jpeg, .png, .webp or .bmp; convert or remove it",
            ),
            (
                {"train/loose.png": picture()},
                "train/loose.png: lies neither in train/<class>/ nor in test/<class>/; move or remove",
            ),
            ({"val/cat/1.png": picture()}, "val/cat/1.png: lies neither in"),
            ({"train/cat/more/1.png": picture()}, "train/cat/more/1.png: lies neither in"),
            (
                {"other/train/cat/1.png": picture()},
                "train/ and test/ lie below more than one folder: , other; keep one",
            ),
            ({"test/bird/1.png": picture()}, "test/bird/: is no class of train/; add train/bird/ or remove it"),
        ],
    )
    def test_each_is_told_with_the_file_it_is_in(self, tmp_path, files, fault):
        found = told(write_tree(tmp_path / "photos", photos() | files))
        assert any(fault in line for line in found), found
        assert all(line.startswith(str(tmp_path / "photos")) for line in found)

    def test_all_are_told_at_once_but_no_more_than_a_screen(self, tmp_path):
        found = told(write_tree(tmp_path, {f"train/cat/{i}.png": b"" for i in range(30)} | photos()))
        assert len(found) == 11
        assert "... and 20 more like these" in found[-1]

    def test_a_class_without_images(self, tmp_path):
        (write_tree(tmp_path, photos()) / "train" / "bird").mkdir()
        assert told(tmp_path) == [f"{tmp_path}: train/bird/: holds no image; add some or remove it"]

    def test_a_folder_without_images(self, tmp_path):
        assert told(tmp_path) == [
            f"{tmp_path}: has no image below train/<class>/; put JPEG, PNG, WebP or BMP files there"
        ]

    def test_a_single_class(self, tmp_path):
        assert (
            "has one class only, 'cat'; there must be two folders or more"
            in told(write_tree(tmp_path, photos(classes=("cat",))))[0]
        )

    def test_a_name_that_occurs_twice(self, tmp_path):
        path = archive(tmp_path / "x.tar", photos() | {"./train/cat/000.png": picture()}, "")
        assert told(path) == [f"{path}: train/cat/000.png: occurs twice; keep one"]

    def test_a_root_that_is_not_there(self, tmp_path):
        assert (
            "is neither a directory nor an archive; set root to one that holds train/<class>/*"
            in told(tmp_path / "x")[0]
        )

    @pytest.mark.parametrize("content", [b"", b"nonsense" * 200])
    def test_a_file_that_is_no_archive(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        assert "is no whole .tar, .tar.gz, .tar.xz or .zip archive" in told(tmp_path / "x")[0]

    @pytest.mark.parametrize("kind", ["", "gz", "xz"])
    def test_a_truncated_archive(self, tmp_path, kind):
        path = archive(tmp_path / "x", photos(train=200, size=(9, 9)), kind)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])
        (fault,) = told(path)
        assert "is no whole .tar, .tar.gz, .tar.xz or .zip archive" in fault

    @pytest.mark.parametrize("kind", ["", "zip"])
    @pytest.mark.parametrize(
        "name", ["../train/cat/1.png", "train/../../1.png", "/train/cat/1.png", "train\\cat\\1.png"]
    )
    def test_a_path_that_climbs_out_of_the_archive(self, tmp_path, kind, name):
        path = archive(tmp_path / "x", photos() | {name: picture()}, kind)
        assert told(path) == [f"{path}: {name!r} climbs out of the archive; pack it again with relative paths"]

    def test_a_link_in_an_archive(self, tmp_path):
        with tarfile.open(tmp_path / "x", "w") as file:
            member = tarfile.TarInfo("train/cat/1.png")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            file.addfile(member)
        assert "'train/cat/1.png' is a link or device, not a file; pack the files themselves" in told(tmp_path / "x")[0]


class TestDecode:
    def test_transparent_becomes_white(self):
        assert decode(picture("RGBA", value=(0, 0, 0, 0)), None).min() == 255
        assert decode(picture("LA", value=(0, 0)), None).shape == (8, 8)
        assert decode(picture("LA", value=(0, 0)), None).min() == 255
        assert decode(picture("P", value=0, transparency=0), None).min() == 255

    def test_palette_and_cmyk_become_rgb_and_bits_grey(self):
        assert decode(picture("P", value=3), None).shape == (8, 8, 3)
        assert decode(picture("CMYK", value=(0, 255, 255, 0), format="JPEG"), None)[0, 0].tolist() == pytest.approx(
            [254, 0, 0], abs=3
        )
        assert decode(picture("1", value=1), None).tolist() == [[255] * 8] * 8

    def test_sixteen_bits_keep_their_scale(self):
        assert decode(picture("I;16", value=0x8000), None)[0, 0] == 0x80

    def test_exif_turns_the_image_upright(self):
        image = Image.new("RGB", (4, 8), "black")
        exif = image.getexif()
        exif[0x0112] = 6  # turn by 90 degrees
        file = io.BytesIO()
        image.save(file, "JPEG", exif=exif)
        assert decode(file.getvalue(), None).shape == (4, 8, 3)


class TestHoldOut:
    def sample(self, counts, rng):
        labels = np.repeat(np.arange(len(counts)), counts)
        images = rng.integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8)
        return ImageSet(images, labels, tuple("abcdefgh"[: len(counts)]))

    def test_each_class_gives_its_fraction_and_each_image_goes_one_way(self, rng):
        images = self.sample([100, 30, 7, 2], rng)
        kept, held = hold_out(images, 0.2, "test")
        assert np.bincount(held.labels).tolist() == [20, 6, 1, 1]
        together = {image.tobytes() for part in (kept, held) for image in part.images}
        assert len(together) == len(kept) + len(held) == 139

    def test_the_choice_does_not_depend_on_the_order(self, rng):
        images = self.sample([50, 50], rng)
        order = rng.permutation(100)
        for one, other in zip(hold_out(images, 0.1, "x"), hold_out(images.take(order), 0.1, "x"), strict=True):
            assert {image.tobytes() for image in one.images} == {image.tobytes() for image in other.images}

    def test_a_class_too_small_to_part(self, rng):
        with pytest.raises(InputError) as error:
            hold_out(self.sample([5, 1, 2], rng), 0.1, "test", keep=2)
        assert error.value.faults == (
            "class 'b' has 1 image, but 3 are needed to hold one out for test; add images or remove the class",
            "class 'c' has 2 images, but 3 are needed to hold one out for test; add images or remove the class",
        )


def test_the_digits_are_all_there_and_a_fifth_is_held_out():
    train, test = load_dataset(Digits(source="digits", flip=False, crop=0.1), Path())
    assert len(train) + len(test) == 1797
    assert len(test) == pytest.approx(1797 / 5, abs=5)
    assert train.images.shape[1:] == (1, 8, 8)
    assert (train.images.min(), train.images.max()) == (0, 255)
    assert train.classes == tuple("0123456789")


def test_a_folder_without_test_images_holds_a_fifth_out(tmp_path):
    write_tree(tmp_path / "mine", photos(train=10, test=0))
    train, test = load_dataset(Folder(source="folder", root="mine", size="auto", flip=True, crop=0.1), tmp_path)
    assert np.bincount(train.labels).tolist() == [8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2]


def test_only_its_own_source_is_imported():
    code = (
        "import sys; from pathlib import Path; from deepen.datasets import load_dataset; from deepen.settings import Digits;"
        "load_dataset(Digits(source='digits', flip=False, crop=0.1), Path()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class TestDownloaded:
    """torchvision's own download, from an archive in the official format on this disk."""

    @pytest.fixture
    def host(self, tmp_path):
        """A folder and the address at which a server on this machine offers it."""
        folder = tmp_path / "host"
        folder.mkdir()
        handler = functools.partial(QuietHandler, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield folder, f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()

    def cifar(self, host, rng, monkeypatch, name):
        folder, address = host
        datasets = pytest.importorskip("torchvision.datasets")
        kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
        fine = "labels" if name == "cifar10" else "fine_labels"
        label_names = {"label_names" if name == "cifar10" else "fine_label_names": [f"class {i}" for i in range(10)]}
        batches = [file for file, _ in (*kind.train_list, *kind.test_list)]
        content = {
            file: pickle.dumps(
                {"data": rng.integers(0, 256, (20, 3072), dtype=np.uint8), fine: [i % 10 for i in range(20)]}
            )
            for file in batches
        } | {kind.meta["filename"]: pickle.dumps(label_names)}
        archive(folder / kind.filename, {f"{kind.base_folder}/{file}": data for file, data in content.items()}, "gz")
        md5 = {file: hashlib.md5(data).hexdigest() for file, data in content.items()}
        monkeypatch.setattr(kind, "url", address + kind.filename)
        monkeypatch.setattr(kind, "tgz_md5", hashlib.md5((folder / kind.filename).read_bytes()).hexdigest())
        monkeypatch.setattr(kind, "train_list", [[file, md5[file]] for file, _ in kind.train_list])
        monkeypatch.setattr(kind, "test_list", [[file, md5[file]] for file, _ in kind.test_list])
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5[kind.meta["filename"]]})
        return kind, pickle.loads(content[batches[0]])["data"]

    def load(self, name, base):
        return load_dataset(Downloaded(source=name, root="downloads", flip=True, crop=0.1), base)

    @pytest.mark.parametrize(("name", "train_images"), [("cifar10", 100), ("cifar100", 20)])
    def test_cifar_is_fetched_checked_and_read_once(self, tmp_path, rng, monkeypatch, host, name, train_images):
        kind, first = self.cifar(host, rng, monkeypatch, name)
        train, test = self.load(name, tmp_path)
        assert train.images.shape == (train_images, 3, 32, 32)
        assert len(test) == 20
        assert np.array_equal(train.images[:20].reshape(20, -1), first)
        assert train.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
        assert train.classes[3] == "class 3"
        (host[0] / kind.filename).unlink()
        assert_equal(self.load(name, tmp_path)[0], train)

    def test_fashion_mnist(self, tmp_path, rng, monkeypatch, host):
        folder, address = host
        kind = pytest.importorskip("torchvision.datasets").FashionMNIST
        resources = []
        for file, _ in kind.resources:
            count = 30 if file.startswith("train") else 10
            shape = (count, 28, 28) if "images" in file else (count,)
            header = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape)
            data = gzip.compress(header + (rng.integers(0, 10, shape, dtype=np.uint8)).tobytes())
            (folder / file).write_bytes(data)
            resources.append((file, hashlib.md5(data).hexdigest()))
        monkeypatch.setattr(kind, "resources", resources)
        monkeypatch.setattr(kind, "mirrors", [address])
        train, test = self.load("fashion_mnist", tmp_path)
        assert train.images.shape == (30, 1, 28, 28)
        assert len(test) == 10
        assert len(train.classes) == 10

    @pytest.mark.parametrize(
        ("name", "place"),
        [
            ("cifar10", "cifar-10-python.tar.gz"),
            ("cifar100", "cifar-100-python.tar.gz"),
            ("fashion_mnist", "FashionMNIST/raw"),
        ],
    )
    def test_a_host_out_of_reach_is_told_with_where_to_put_the_archive(self, tmp_path, monkeypatch, name, place):
        with socket.create_server(("127.0.0.1", 0)) as server:
            nowhere = f"http://127.0.0.1:{server.getsockname()[1]}/"  # a port where nobody listens once this is closed
        datasets = pytest.importorskip("torchvision.datasets")
        monkeypatch.setattr(datasets.CIFAR10, "url", nowhere)
        monkeypatch.setattr(datasets.CIFAR100, "url", nowhere)
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [nowhere])
        with pytest.raises(InputError) as error:
            self.load(name, tmp_path)
        assert f"datasets.{name}: could not be downloaded (" in str(error.value)
        assert (
            f"yourself and put {'them into' if name == 'fashion_mnist' else 'it at'} {tmp_path / 'downloads' / place}"
            in str(error.value)
        )

    def test_an_archive_with_another_checksum_is_refused(self, tmp_path, rng, monkeypatch, host):
        kind, _ = self.cifar(host, rng, monkeypatch, "cifar10")
        monkeypatch.setattr(kind, "tgz_md5", "0" * 32)
        with pytest.raises(InputError, match=r"could not be downloaded .*md5 0{32}"):
            self.load("cifar10", tmp_path)


@pytest.mark.skipif(not CIFAR10_JPEG.exists(), reason="cifar10-jpeg.tar.xz is not here; set CIFAR10_JPEG to its path")
def test_all_of_cifar10_jpeg_and_its_exact_statistics():
    train, test = load_folder(CIFAR10_JPEG, None)
    assert train.images.shape == (50_000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    found = compute_statistics(train.images)
    assert [round(value, 8) for value in found.mean] == [0.49125038, 0.48209027, 0.44652094]
    assert [round(value, 8) for value in found.eigenvalues] == [0.17183196, 0.01252795, 0.00264886]
