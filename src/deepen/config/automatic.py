"""Values of `auto` for a number of training images: batch size and epochs."""

from collections.abc import Sequence

FEW_STEPS = 200  # with fewer, a network may not beat guessing
_BATCHES = ((64, 8), (128, 16), (768, 32), (8192, 64))  # (fewer images than, batch size)
_LARGEST_BATCH = 128
_MOST_EPOCHS = 100  # to see enough images: then a network knows few images by heart


def choose_batch_size(images: int) -> int:
    """Return the batch size: 8 below 64 training images, 16 below 128, 32 below 768, 64 below 8,192, else 128."""
    return next((batch for below, batch in _BATCHES if images < below), _LARGEST_BATCH)


def choose_epochs(usual: Sequence[int], position: int, least_images: int, images: int) -> int:
    """Return the `usual` epochs of the model at a position of the ladder, from 0; more if these have too few.

    The last entry of `usual` applies to all deeper models. A model sees at least `least_images` in all epochs, but for
    that each of the `images` at most 100 times.
    """
    return max(usual[min(position, len(usual) - 1)], min(_MOST_EPOCHS, -(-least_images // images)))
