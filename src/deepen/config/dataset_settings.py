"""Data sets of params.yaml: where images come from, and what follows from them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from deepen.config.section import PathText, Section, auto
from deepen.config.validation import show
from deepen.core.errors import InputError

Image = tuple[int, int, int]  # the shape of one: (channels, height, width)
Width = Annotated[float, Field(gt=0, le=64)]
_Side = Annotated[Annotated[int, Field(ge=1, le=4096)] | None, auto]


class Augmented(Section):
    """What every data set says of its images, and how wide networks are for them."""

    width: Width = Field(examples=[1.0])  # what `width: auto` takes
    flip: bool = Field(examples=["true"])  # is a mirrored image still of its class?
    crop: float = Field(ge=0, le=0.5, examples=[0.125])  # how far a crop may reach beyond the image, a fraction of it
    view: _Side = Field(examples=[28])  # side in pixels of what a network sees of an image; None (`auto`): all of it

    def seen(self, image: Image) -> Image:
        """What a network sees of images of this shape; raises InputError where that is more than there is."""
        if self.view is None:
            return image
        channels, height, width = image
        if self.view > min(height, width):
            raise InputError(
                f"view: {self.view} is more than the images have, which are {height}x{width}; "
                f"write at most view: {min(height, width)}, or view: auto"
            )
        return channels, self.view, self.view


class Digits(Augmented):
    """scikit-learn's handwritten digits, which need no download."""

    source: Literal["digits"] = Field(examples=["folder"])


class _Rooted(Augmented):
    """A data set that lies in files."""

    root: PathText

    def path(self, base: Path) -> Path:
        """Where `root` is, which starts at `base` if it is relative; raises InputError for ~ of an unknown user."""
        try:
            return base / Path(self.root).expanduser()
        except RuntimeError as error:
            raise InputError(
                f"params.yaml: root: {show(self.root)} starts with the home of an unknown user; write the whole path"
            ) from error


class Downloaded(_Rooted):
    """A data set that torchvision downloads into `root`."""

    source: Literal["cifar10", "cifar100", "fashion_mnist"] = Field(examples=["folder"])
    root: PathText = Field(examples=["downloads"])


class Folder(_Rooted):
    """The user's own images, `size` pixels a side once prepared; None (`auto`) where all have one size already."""

    source: Literal["folder"] = Field(examples=["folder"])
    root: PathText = Field(examples=["images"])
    size: _Side = Field(examples=[32])


Dataset = Annotated[Digits | Downloaded | Folder, Field(discriminator="source")]
