"""Examples of data augmentation: training images, original and augmented, for the report."""

import numpy as np
import torch

from deepen.core.seeding import make_generator
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics
from deepen.evaluation.views import Views

_IMAGES, _FORMS = 10, 5


def draw_augmentation_examples(
    images: ImageSet, augmentation: Augmentation, statistics: Statistics, *, seed: int, origin: str = ""
) -> ImageSet:
    """Return ten of the images, cropped to the centre that training sees, and five augmented versions of each.

    The classes of the result are the kinds of image: `as it is`, `form 1` and so on.
    """
    chosen = np.linspace(0, len(images) - 1, num=min(_IMAGES, len(images))).astype(int)
    originals = images.batch(chosen)
    augmented = AugmentedImages(originals, augmentation, statistics, torch.device("cpu"))
    mean = torch.tensor(statistics.mean)[:, None, None]
    kinds = ("as it is", *(f"form {form}" for form in range(1, _FORMS + 1)))
    examples = [Views(size=augmentation.size).centre(torch.from_numpy(originals))]
    for form in range(_FORMS):
        batch = augmented.batch(torch.arange(len(chosen)), make_generator("cpu", seed, "figure", form))
        examples.append((batch + mean).clamp(0, 1).mul(255).round().to(torch.uint8))
    return ImageSet(torch.cat(examples).numpy(), np.repeat(np.arange(len(kinds)), len(chosen)), kinds, origin=origin)
