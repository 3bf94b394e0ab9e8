"""Records of evaluated models, passed from each model of a ladder to the next."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepen.config.recipes import ViewKind
from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.models.layers import Layer, Norm, count_training_flops, freeze, plan
from deepen.records.history import History
from deepen.records.transfer_report import TensorTransfer


@dataclass(frozen=True)
class Record:
    """One evaluated model.

    `layers`, `norm`, `width` and `image` (channels, height, width) define its network; `tensors` has the origin of each
    tensor. `data` is the entry of `datasets`, `source` the source of its images, `data_name` the name of their folder
    or archive; `classes` is the number of classes. Of `test_images`, `correct[k - 1]` have their class among the k most
    probable. `confusion` is that of Predictions.confusion, `metrics` the content of metrics/<model>.json, `views` the
    views used for evaluation. `weights` is the checksum of its weights, `grown_from` that of the weights it grew from.
    `test_origin` is the origin of the test images, `notes` are notes on the images. `right` encodes which test images
    were classified correctly (see `encode_right`), `recipe` is the name of the recipe; both are empty if unknown.
    """

    model: str
    after: str
    layers: str
    norm: Norm
    width: float
    image: tuple[int, int, int]
    classes: int
    parameters: int
    tensors: list[TensorTransfer]
    training: History
    data: str
    source: str
    test_images: int
    correct: list[int]
    confusion: list[tuple[int, int, int]]
    metrics: dict[str, float]
    weights: str
    grown_from: str | None
    test_origin: str = ""
    notes: list[str] = field(default_factory=list)
    views: ViewKind = "centre"
    data_name: str = ""
    right: str = ""
    recipe: str = ""

    @property
    def named(self) -> str:
        """The display name of the data."""
        return self.data_name or self.data

    def right_answers(self) -> NDArray[np.bool_] | None:
        """Return whether each test image was classified correctly, bool (images,); None if unknown."""
        if not self.right:
            return None
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.right), np.uint8))
        return bits[: self.test_images].astype(bool)

    def plan(self) -> tuple[Layer, ...]:
        """Return the planned layers of the network, with the layers that were not trained marked as frozen."""
        layers = plan(self.layers, width=self.width, image=self.image, classes=self.classes, norm=self.norm)
        return freeze(layers, self.training.settings.get("frozen", ()))

    @property
    def flops(self) -> int:
        """Floating-point operations of its training, as counted by layers.training_flops."""
        return self.training.learned * count_training_flops(self.plan())


def encode_right(right: NDArray[np.bool_]) -> str:
    """Encode bool (images,) as hexadecimal digits: one bit for each image, the first bit highest."""
    return np.packbits(right).tobytes().hex()


def save_records(path: Path, records: Sequence[Record]) -> None:
    """Write the records of a model and of its ancestors, shallowest first, as JSON."""
    write_checked_json(path, {"records": [asdict(record) for record in records]})


def load_records(path: Path) -> list[Record]:
    """Read a file of `save_records`; raises InputError if it is invalid."""
    return read_checked_json(path, _Records).records


@dataclass(frozen=True)
class _Records:
    records: list[Record]
