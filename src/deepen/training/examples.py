"""Training images as they are and as training may see them, for people to look at."""

import numpy as np
import torch

from deepen.core.seeding import generator
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics
from deepen.evaluation.views import Views

_IMAGES, _FORMS = 10, 5


def augmentation_examples(
    images: ImageSet, augmentation: Augmentation, statistics: Statistics, *, seed: int, origin: str = ""
) -> ImageSet:
    """Ten of the images, or their centres where training sees less, and each of them in five forms that it may see.

    What would be classes says which of these an image is: `as it is`, `form 1` and so on.
    """
    chosen = np.linspace(0, len(images) - 1, num=min(_IMAGES, len(images))).astype(int)
    originals = images.batch(chosen)
    augmented = AugmentedImages(originals, augmentation, statistics, torch.device("cpu"))
    mean = torch.tensor(statistics.mean)[:, None, None]
    found = [Views(size=augmentation.size).centre(torch.from_numpy(originals))]
    for form in range(_FORMS):
        batch = augmented.batch(torch.arange(len(chosen)), generator("cpu", seed, "figure", form))
        found.append((batch + mean).clamp(0, 1).mul(255).round().to(torch.uint8))
    kinds = ("as it is", *(f"form {form}" for form in range(1, _FORMS + 1)))
    return ImageSet(torch.cat(found).numpy(), np.repeat(np.arange(len(kinds)), len(chosen)), kinds, origin=origin)
