"""Settings of a data set: its source, and the width, flip, crop and view of its images."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from deepen.config.section import PathText, Section, auto
from deepen.core.errors import InputError
from deepen.core.wording import format_value

Image = tuple[int, int, int]  # shape: (channels, height, width)
_SHAPES: dict[str, tuple[Image, int]] = {  # of images, and the number of classes
    "digits": ((1, 8, 8), 10),
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "fashion_mnist": ((1, 28, 28), 10),
}
Width = Annotated[float, Field(gt=0, le=64)]
_Column = Annotated[str, Field(min_length=1, max_length=200)]
_Side = Annotated[Annotated[int, Field(ge=1, le=4096)] | None, auto]


class Augmented(Section):
    """Settings that every data set has: augmentation of its images, and the width of networks for them."""

    width: Width = Field(examples=[1.0])  # the value of `width: auto`
    least_images: int = Field(ge=1, le=10**12, examples=[96000])  # that a model sees in all epochs, for `epochs: auto`
    flip: bool = Field(examples=["true"])  # whether a mirrored image keeps its class
    crop: float = Field(ge=0, le=0.5, examples=[0.125])  # largest shift of a crop, a fraction of the image
    view: _Side = Field(examples=[28])  # side of a network's input, pixels; None (`auto`): the image

    def view_shape(self, image: Image) -> Image:
        """Return the input shape of networks for images of this shape; raises InputError if the view is larger."""
        if self.view is None:
            return image
        channels, height, width = image
        if self.view > min(height, width):
            raise InputError(
                f"view: {self.view} is larger than the images, which are {height}x{width}; "
                f"write at most view: {min(height, width)}, or view: auto"
            )
        return channels, self.view, self.view


class _Published(Augmented):
    """A data set whose images are always the same."""

    source: str

    @property
    def known_shape(self) -> tuple[Image, int]:
        """The shape of its images, and its number of classes."""
        return _SHAPES[self.source]


class Digits(_Published):
    """scikit-learn's handwritten digits, which are installed with it."""

    source: Literal["digits"] = Field(examples=["folder"])


class _Rooted(Augmented):
    """A data set of files."""

    root: PathText

    def path(self, base: Path) -> Path:
        """Return `root`, relative to `base`, with ~ expanded; raises InputError for ~ of an unknown user."""
        try:
            return base / Path(self.root).expanduser()
        except RuntimeError as error:
            raise InputError(
                f"params.yaml: root: {format_value(self.root)} names an unknown user; write the absolute path"
            ) from error


class Downloaded(_Rooted, _Published):
    """A data set that torchvision downloads to `root`."""

    source: Literal["cifar10", "cifar100", "fashion_mnist"] = Field(examples=["folder"])
    root: PathText = Field(examples=["downloads"])


class Columns(Section):
    """The columns of a table that lists images, by name; `auto` takes those with usual names."""

    file: _Column = Field(default="auto", examples=["file_name"])
    label: _Column = Field(default="auto", examples=["label"])
    split: _Column = Field(default="auto", examples=["split"])  # train, validation or test; `none`: don't use it


class Folder(_Rooted):
    """The user's own images, resized to `size` pixels a side; None (`auto`): all have the same size already.

    `labels` is a table with the class of each image, in `root` or relative to the project folder; `auto`: metadata.csv
    or class folders.
    """

    source: Literal["folder"] = Field(examples=["folder"])
    root: PathText = Field(examples=["images"])
    size: _Side = Field(examples=[32])
    labels: PathText = Field(default="auto", examples=["labels.csv"])
    columns: Columns = Field(default=Columns(), examples=["{label: breed}"])

    @property
    def likely_shape(self) -> Image:
        """A shape that its images may have: colour, of `size`."""
        side = self.size or 32
        return 3, side, side


Dataset = Annotated[Digits | Downloaded | Folder, Field(discriminator="source")]
