"""The prediction for one image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Answer:
    """Hold the prediction for one image.

    Attributes
    ----------
    probabilities : float32 array (classes,) or None
        None if the image can't be read.
    fault : str
        Why it can't be read; empty if it was read.
    notes : tuple of str
        Warnings on an image that was read, for example that it is nearly black.
    """

    probabilities: NDArray[np.float32] | None
    fault: str = ""
    notes: tuple[str, ...] = ()
