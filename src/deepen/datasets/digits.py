"""The embedded data set: 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; it is
the test part there.
"""

import numpy as np
from sklearn.datasets import load_digits as load_sklearn_digits

from deepen.images import ImageSet


def load_digits() -> ImageSet:
    """All digits as one set of (1797, 1, 8, 8); the source's 0-16 is stretched to 0-255."""
    bunch = load_sklearn_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    return ImageSet(images, bunch.target.astype(np.int64), tuple(map(str, bunch.target_names)), name="digits")
