"""Where images come from: one module a source; each gives training and test images."""

from pathlib import Path

from deepen.datasets.split import hold_out
from deepen.images import ImageSet
from deepen.settings import Digits, Downloaded, Folder

TEST_FRACTION = 0.2  # held out where a source has no test images of its own


def load_dataset(
    dataset: Digits | Downloaded | Folder, base: Path, room: Path | None = None
) -> tuple[ImageSet, ImageSet]:
    """The training and the test images of a data set; relative roots start at `base`. Raises InputError.

    What is not in memory lies in a file without a name in the folder `room`, by default that of the system.
    """
    # Each source is imported only when asked for: scikit-learn and torchvision take seconds to import.
    match dataset:
        case Digits():
            from deepen.datasets.digits import load_digits

            train, test = load_digits(), None
        case Downloaded():
            from deepen.datasets.downloaded import load_downloaded

            train, test = load_downloaded(dataset.source, dataset.path(base))
        case Folder():
            from deepen.datasets.folder import load_folder

            train, test = load_folder(dataset.path(base), dataset.size, room)
    if test is None:
        train, test = hold_out(train, TEST_FRACTION, "test", keep=2)
    return train, test
