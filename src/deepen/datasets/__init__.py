"""Data sets: read images from folders, archives, downloads or scikit-learn, into train, validation and test."""

from pathlib import Path

from deepen.config.dataset_settings import Digits, Downloaded, Folder
from deepen.datasets.parts import Parts

# held out if a source has no test images; half of the few digits, so that the accuracy is meaningful
TEST_FRACTION, DIGITS_TEST_FRACTION = 0.2, 0.5


def load_dataset(
    dataset: Digits | Downloaded | Folder, base: Path, temp_dir: Path | None = None, entry: str = "folder"
) -> Parts:
    """Load the parts of a data set: train, test and, if the folder has it, validation. Raises InputError.

    Relative roots start at `base`. Pixels that are not kept in memory go to an unnamed file in `temp_dir`, by default
    the system's. `entry` is the name of the data set in params.yaml.
    """
    fraction = DIGITS_TEST_FRACTION if isinstance(dataset, Digits) else TEST_FRACTION
    return _load(dataset, base, temp_dir, entry).with_held_out("test", fraction, keep=2)


def _load(dataset: Digits | Downloaded | Folder, base: Path, temp_dir: Path | None, entry: str) -> Parts:
    # Import each source on demand: scikit-learn and torchvision take seconds.
    match dataset:
        case Digits():
            from deepen.datasets.digits import load_digits

            return Parts({"train": load_digits()}, {"train": "from digits"})
        case Downloaded():
            from deepen.datasets.downloaded import load_downloaded

            train, test = load_downloaded(dataset.source, dataset.path(base))
            name = dataset.source
            return Parts(
                {"train": train, "test": test},
                {"train": f"from {name}'s training images", "test": f"from {name}'s test images"},
            )
        case Folder():
            from deepen.datasets.folder import load_folder
            from deepen.datasets.tables.choice import TableChoice

            choice = TableChoice.from_settings(dataset, base, entry)
            return load_folder(dataset.path(base), dataset.size, temp_dir, choice)
