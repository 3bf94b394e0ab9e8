"""What `auto` comes to for so many training images: the batch, and how long a model trains."""

from collections.abc import Sequence

FEW_STEPS = 200  # in fewer a network can't be expected to do better than guessing
_BATCHES = ((64, 8), (128, 16), (768, 32), (8192, 64))  # below so many images, so many a step
_LARGEST_BATCH = 128
_MOST_EPOCHS = 50  # to see enough images: then a network knows few images by heart


def automatic_batch(images: int) -> int:
    """How many a step learns from: 8 of fewer than 64 images, 16 below 128, 32 below 768, 64 below 8,192, then 128."""
    return next((batch for below, batch in _BATCHES if images < below), _LARGEST_BATCH)


def automatic_epochs(usual: Sequence[int], place: int, least_images: int, images: int) -> int:
    """The `usual` epochs of the model at a place of the ladder, counted from 0; more where those are too few.

    The last of the usual ones counts for every deeper model. A model sees at least `least_images`, each of the `images`
    as often as that takes, but for it no more than 50 times.
    """
    return max(usual[min(place, len(usual) - 1)], min(_MOST_EPOCHS, -(-least_images // images)))
