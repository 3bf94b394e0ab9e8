"""What `auto` comes to for so many training images: the batch, and how long a model trains."""

from collections.abc import Sequence

FEW_STEPS = 200  # in fewer a network can't be expected to do better than guessing
_BATCHES = ((768, 32), (4096, 64))  # below so many images, so many a step
_LARGEST_BATCH = 128


def automatic_batch(images: int) -> int:
    """32 images a step where there are fewer than 768 to learn from, 64 below 4,096, and then 128."""
    return next((batch for below, batch in _BATCHES if images < below), _LARGEST_BATCH)


def automatic_epochs(usual: Sequence[int], place: int, least_steps: int, steps_an_epoch: int) -> int:
    """The `usual` epochs of the model at a place of the ladder, counted from 0; more where those are too few steps.

    The last of the usual ones counts for every deeper model. As many epochs as `least_steps` need are the least.
    """
    return max(usual[min(place, len(usual) - 1)], -(-least_steps // steps_an_epoch))
