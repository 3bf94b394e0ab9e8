"""Choose the test images whose saliency maps are shown."""

import numpy as np
from numpy.typing import NDArray


def choose_rows(labels: NDArray[np.int64], most: int) -> NDArray[np.intp]:
    """Return the rows of at most `most` images, the first ones of each class, by class.

    Every class has the same number, if it has so many images; a remainder is from classes at even distances. The choice
    depends on `labels` (images,) alone and not on what a model predicts.
    """
    by_class = np.argsort(labels, kind="stable")
    ordered = labels[by_class]
    rank = np.arange(len(labels)) - np.searchsorted(ordered, ordered)  # of an image among those of its class
    chosen = by_class[:0]
    for number in range(int(rank.max(initial=-1)) + 1):
        ones, left = by_class[rank == number], most - len(chosen)
        if left <= 0:
            break
        taken = np.arange(min(left, len(ones))) * len(ones) // min(left, len(ones))
        chosen = np.concatenate([chosen, ones[taken]])
    return chosen[np.argsort(labels[chosen], kind="stable")]
