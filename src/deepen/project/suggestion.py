"""Settings that fit a folder of images."""

from collections import Counter
from statistics import median_low

from deepen.config.dataset_settings import Folder
from deepen.config.settings import Settings
from deepen.core.errors import InputError
from deepen.project.settings_text import Changes
from deepen.project.survey import Survey
from deepen.project.tables import list_table_changes

_LARGEST, _SMALLEST = 64, 8  # sides in pixels: suggested, and that three pools leave a pixel of
_PREFERRED = (64, 32)


def choose_size(sizes: Counter[tuple[int, int]]) -> int | str:
    """Return the size to resize images to, in pixels: auto for small images that all have the same size.

    Else 64 or 32, the larger that at least half of the images have in height and width; of smaller images, the
    multiple of 8 below.
    """
    if len(sizes) == 1 and _SMALLEST <= min(next(iter(sizes))) <= max(next(iter(sizes))) <= _LARGEST:
        return "auto"
    side = median_low(min(size) for size in sizes.elements())
    return next((size for size in _PREFERRED if side >= size), max(_SMALLEST, side // _SMALLEST * _SMALLEST))


def suggest_settings(settings: Settings, root: str, survey: Survey, labels: str = "auto") -> Changes:
    """Return the settings that have to change for these images, whose classes the table `labels` lists.

    Raises InputError without a data set for folders.
    """
    folders = {name: each for name, each in settings.datasets.items() if isinstance(each, Folder)}
    if not folders:
        raise InputError("params.yaml: datasets: no data set has source: folder; add one, as deepen init NEW writes it")
    name = settings.data if settings.data in folders else "folder" if "folder" in folders else next(iter(folders))
    where = f"datasets.{name}"
    table = list_table_changes(folders[name], labels, survey.choice.columns)
    changes: Changes = {"data": name, f"{where}.root": root, f"{where}.size": choose_size(survey.sizes)}
    return changes | {f"{where}.{path}": value for path, value in table.items()}
