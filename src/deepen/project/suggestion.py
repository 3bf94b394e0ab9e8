"""Settings that fit a folder of images, and the text of a params.yaml with them."""

import io
import re
from collections import Counter
from statistics import median_low

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from deepen.config.dataset_settings import Folder
from deepen.config.settings import Settings, check_text
from deepen.core.errors import InputError
from deepen.core.yaml_reading import compose
from deepen.project.survey import Survey
from deepen.project.tables import list_table_changes

_LARGEST, _SMALLEST = 64, 8  # sides in pixels: suggested, and that three pools leave a pixel of
_PREFERRED = (64, 32)

Changes = dict[str, str | int]  # path of a setting, such as datasets.folder.size -> value


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


def change_settings(text: str, changes: Changes) -> str:
    """Return the text of a params.yaml with other values of some settings, and all else unchanged.

    Raises InputError with all faults of the new settings, and if a setting can't be found or has an anchor.
    """
    root = compose(text)
    spans = {path: _find_value(root, path) for path in changes}
    new = text
    for path, (start, end) in sorted(spans.items(), key=lambda item: item[1], reverse=True):
        value = _dump(changes[path])
        new = new[:start] + value + _keep_column(new[end:], len(value) - (end - start))
    check_text(new)
    return new


def describe_changes(text: str, changes: Changes) -> str:
    """Return the settings with their new values and, where they differ, those in the text of a params.yaml."""
    root = compose(text)
    before = {path: text[slice(*_find_value(root, path))] for path in changes}
    after = {path: _dump(value) for path, value in changes.items()}
    return ", ".join(
        f"{path}: {value}" + (f" (was {before[path]})" if before[path] != value else "")
        for path, value in after.items()
    )


def _find_value(node: Node | None, path: str) -> tuple[int, int]:
    """Return where the value of a setting starts and ends in the text."""
    for key in path.split("."):
        pairs = node.value if isinstance(node, MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(node, ScalarNode):
        raise InputError(f"params.yaml: {path}: missing; add it, as deepen init NEW writes it")
    if node.anchor is not None:
        raise InputError(
            f"params.yaml: {path}: has an anchor or alias, so other settings share it; write its value there"
        )
    return node.start_mark.index, node.end_mark.index


def _keep_column(rest: str, longer: int) -> str:
    """Return what follows a value, with its comment in the same column if the value is `longer` by some characters."""
    if match := re.match(" +(?=#)", rest):
        return " " * max(1, len(match[0]) - longer) + rest[match.end() :]
    return rest


def _dump(value: str | int) -> str:
    yaml, file = YAML(), io.StringIO()
    yaml.width = 1_000_000
    yaml.dump({"value": value}, file)
    return file.getvalue().removeprefix("value: ").rstrip("\n")
