"""Data sets that torchvision downloads and verifies: CIFAR-10, CIFAR-100 and Fashion-MNIST."""

import socket
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError

import numpy as np
from torchvision import datasets

from deepen.core.errors import InputError
from deepen.core.wording import describe_cause
from deepen.data.images import ImageSet

_KINDS: dict[str, Any] = {
    "cifar10": datasets.CIFAR10,
    "cifar100": datasets.CIFAR100,
    "fashion_mnist": datasets.FashionMNIST,
}
_TIMEOUT = 30  # seconds without data before the download fails


def load_downloaded(name: Literal["cifar10", "cifar100", "fashion_mnist"], root: Path) -> tuple[ImageSet, ImageSet]:
    """Load training and test images, downloading them into `root` if needed; raises InputError if that fails."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        train, test = _KINDS[name](root, train=True, download=True), _KINDS[name](root, train=False)
        return _image_set(train, name), _image_set(test, name)
    except (URLError, OSError, RuntimeError, EOFError) as error:
        raise InputError(
            f"datasets.{name}: download failed ({describe_cause(error)}); {_by_hand(name, root)}"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def _image_set(dataset: Any, name: str) -> ImageSet:
    pixels = np.asarray(dataset.data)  # (n, height, width, 3) or, grey, (n, height, width)
    images = np.moveaxis(pixels, -1, 1) if pixels.ndim == 4 else pixels[:, None]
    labels = np.asarray(dataset.targets, dtype=np.int64)
    return ImageSet(np.ascontiguousarray(images), labels, tuple(dataset.classes), name=name)


def _by_hand(name: str, root: Path) -> str:
    kind = _KINDS[name]
    if name == "fashion_mnist":
        files = ", ".join(file for file, _ in kind.resources)
        return f"download {files} from {kind.mirrors[0]} by hand into {root / 'FashionMNIST' / 'raw'}"
    return f"download {kind.url} (md5 {kind.tgz_md5}) by hand to {root / kind.filename}"
