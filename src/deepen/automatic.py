"""What `auto` comes to for so many training images: the batch, and how long a model trains."""

from collections.abc import Sequence

_LARGEST_BATCH, _SMALLEST_BATCH = 128, 16
_BATCHES = 32  # at least so many an epoch, down to the smallest batch


def automatic_batch(images: int) -> int:
    """The largest power of two, from 16 to 128, of which so many training images make at least 32 batches."""
    batch = _LARGEST_BATCH
    while batch > _SMALLEST_BATCH and images < _BATCHES * batch:
        batch //= 2
    return batch


def automatic_epochs(usual: Sequence[int], place: int, least_steps: int, steps_an_epoch: int) -> int:
    """The `usual` epochs of the model at a place of the ladder, counted from 0; more where those are too few steps.

    The last of the usual ones counts for every deeper model. As many epochs as `least_steps` need are the least.
    """
    return max(usual[min(place, len(usual) - 1)], -(-least_steps // steps_an_epoch))
