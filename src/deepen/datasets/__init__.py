"""Where images come from: one module a source; each gives training and test images."""

from pathlib import Path

from deepen.config.dataset_settings import Digits, Downloaded, Folder
from deepen.datasets.parts import Parts

# held out where a source has no test images of its own; of the few digits half, so that an accuracy says something
TEST_FRACTION, DIGITS_TEST_FRACTION = 0.2, 0.5


def load_dataset(
    dataset: Digits | Downloaded | Folder, base: Path, room: Path | None = None, entry: str = "folder"
) -> Parts:
    """The parts of a data set: train, test and, where a folder has it, validation. Raises InputError.

    Relative roots start at `base`. What is not in memory lies in a file without a name in the folder `room`, by default
    that of the system. `entry` is the name of the data set in params.yaml.
    """
    fraction = DIGITS_TEST_FRACTION if isinstance(dataset, Digits) else TEST_FRACTION
    return _load(dataset, base, room, entry).with_held_out("test", fraction, keep=2)


def _load(dataset: Digits | Downloaded | Folder, base: Path, room: Path | None, entry: str) -> Parts:
    # Each source is imported only when asked for: scikit-learn and torchvision take seconds to import.
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

            return load_folder(dataset.path(base), dataset.size, room, entry)
