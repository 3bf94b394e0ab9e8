"""What is known of each model of a ladder once it is evaluated, handed on from model to model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepen.config.recipes import ViewKind
from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.models.layers import Layer, Norm, freeze, plan, training_flops
from deepen.records.history import History
from deepen.records.transfer_report import TensorFate


@dataclass(frozen=True)
class Record:
    """One evaluated model.

    `layers`, `norm`, `width` and `image` (channels, height, width) are its network; `tensors` says where each of its
    tensors came from. `data` is the entry of `datasets`, `source` where its images come from, `data_name` what they are
    called, as their folder or archive is; `classes` is how many there are. Of `test_images`, `correct[k - 1]` have
    their class among the k most probable; `confusion` is what Predictions.confusion gives, `metrics` what
    metrics/<model>.json holds, `views` what it looked at of each image. `weights` is the checksum of its weights,
    `grown_from` that of those it grew from. `test_origin` says where the test images came from, `notes` what people
    should know of the images. `right` says which test images it had right, as `right_bits` writes it, `recipe` the name
    of what it was trained by; both are empty where they are not known.
    """

    model: str
    after: str
    layers: str
    norm: Norm
    width: float
    image: tuple[int, int, int]
    classes: int
    parameters: int
    tensors: list[TensorFate]
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
        """The name of the data for people."""
        return self.data_name or self.data

    def right_answers(self) -> NDArray[np.bool_] | None:
        """Of each test image, whether the model had it right: bool (images,); None where that is not known."""
        if not self.right:
            return None
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.right), np.uint8))
        return bits[: self.test_images].astype(bool)

    def plan(self) -> tuple[Layer, ...]:
        """The layers of the network, laid out; those that kept their weights in training are frozen."""
        layers = plan(self.layers, width=self.width, image=self.image, classes=self.classes, norm=self.norm)
        return freeze(layers, self.training.settings.get("frozen", ()))

    @property
    def flops(self) -> int:
        """Floating-point operations that its training took, as layers.training_flops counts them."""
        return self.training.learned * training_flops(self.plan())


def right_bits(right: NDArray[np.bool_]) -> str:
    """Which images a model had right, bool (images,), as hexadecimal digits: a bit an image, the first highest."""
    return np.packbits(right).tobytes().hex()


def save_records(path: Path, records: Sequence[Record]) -> None:
    """Write the records of a model and of all it grew from, shallowest first, as JSON."""
    write_checked_json(path, {"records": [asdict(record) for record in records]})


def load_records(path: Path) -> list[Record]:
    """Read what `save_records` wrote; raises InputError where the file is not that."""
    return read_checked_json(path, _Records).records


@dataclass(frozen=True)
class _Records:
    records: list[Record]
