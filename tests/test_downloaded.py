import functools
import gzip
import hashlib
import http.server
import pickle
import socket
import struct
import threading

import numpy as np
import pytest
from conftest import archive, assert_equal

from deepen.config.dataset_settings import Downloaded
from deepen.core.errors import InputError
from deepen.datasets import load_dataset


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
        parts = load_dataset(
            Downloaded(source=name, root="downloads", flip=True, crop=0.1, view="auto", width=1.0, least_images=1), base
        )
        assert parts.origins == {
            part: f"from {name}'s {part}{'ing' * (part == 'train')} images" for part in parts.images
        }
        return parts.images["train"], parts.images["test"]

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

    def test_fashion_mnist_is_fetched_and_read(self, tmp_path, rng, monkeypatch, host):
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
        assert f"datasets.{name}: download failed (" in str(error.value)
        assert f"by hand {'in' if name == 'fashion_mnist' else ''}to {tmp_path / 'downloads' / place}" in str(
            error.value
        )

    def test_an_archive_with_another_checksum_is_refused(self, tmp_path, rng, monkeypatch, host):
        kind, _ = self.cifar(host, rng, monkeypatch, "cifar10")
        monkeypatch.setattr(kind, "tgz_md5", "0" * 32)
        with pytest.raises(InputError, match=r"download failed .*md5 0{32}"):
            self.load("cifar10", tmp_path)
