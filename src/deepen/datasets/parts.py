"""A loaded data set: images by part (train, validation, test), the origin of each part, and notes."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from deepen.data.images import ImageSet
from deepen.data.split import hold_out

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Parts:
    """The images of a data set.

    `images` has a set for each part, and `origins` its origin, such as "from test/" or "held out of train/ (20 %)".
    `notes` are sentences on files that were left out, `warnings` on suspicious images that were not.
    """

    images: dict[Part, ImageSet]
    origins: dict[Part, str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def with_held_out(self, part: Part, fraction: float, keep: int = 1) -> "Parts":
        """Return the parts with `part`; if missing, hold out a `fraction` (0-1) of the training images for it.

        Raises InputError for a class that would keep fewer than `keep` training images.
        """
        if part in self.images:
            return self
        train, held = hold_out(self.images["train"], fraction, part, keep)
        percent = 100 * len(held) / (len(train) + len(held))  # differs from `fraction` by rounding in each class
        origin = f"held out of {self.origins['train'].removeprefix('from ')} ({percent:.3g} %)"
        images = self.images | {"train": train, part: held}
        return replace(self, images=images, origins=self.origins | {part: origin})
