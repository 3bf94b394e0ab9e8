"""The digits data set: 1,797 handwritten digits of 8x8 pixels, included in scikit-learn.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; it is
the test part there.
"""

from importlib.metadata import distribution

import numpy as np

from deepen.data.images import ImageSet


def load_digits() -> ImageSet:
    """Load all digits as one set of (1797, 1, 8, 8), scaled from 0-16 to 0-255.

    Reads scikit-learn's file directly, since importing the package takes three times as long as the rest of the stage.
    """
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    table = np.loadtxt(str(file), delimiter=",")  # one image a row: 64 pixels, then the digit
    images = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return ImageSet(images, table[:, 64].astype(np.int64), tuple("0123456789"), name="digits")
