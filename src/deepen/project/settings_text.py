"""Change values in the text of a params.yaml, and keep every other character."""

import io
import re
from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from deepen.config.settings import check_text
from deepen.core.errors import InputError
from deepen.core.yaml_reading import compose

Changes = dict[str, str | int]  # path of a setting, such as datasets.folder.size -> value


def change_settings(text: str, changes: Changes) -> str:
    """Return the text of a params.yaml with other values of some settings, and all else unchanged.

    Raises InputError with all faults of the new settings, and as `replace_values` does.
    """
    new = replace_values(text, changes)
    check_text(new)
    return new


def replace_values(text: str, changes: Mapping[str, object]) -> str:
    """Replace the values of settings, numbers, text or lists in brackets, in the text of a params.yaml.

    Raises InputError if a setting can't be found, has an anchor or is of another kind.
    """
    root = compose(text)
    spans = {path: _find_value(text, root, path) for path in changes}
    new = text
    for path, (start, end) in sorted(spans.items(), key=lambda item: item[1], reverse=True):
        value = dump_value(changes[path])
        new = new[:start] + value + _keep_column(new[end:], len(value) - (end - start))
    return new


def describe_changes(text: str, changes: Changes) -> str:
    """Return the settings with their new values and, where they differ, those in the text of a params.yaml."""
    root = compose(text)
    before = {path: text[slice(*_find_value(text, root, path))] for path in changes}
    after = {path: dump_value(value) for path, value in changes.items()}
    return ", ".join(
        f"{path}: {value}" + (f" (was {before[path]})" if before[path] != value else "")
        for path, value in after.items()
    )


def _find_value(text: str, node: Node | None, path: str) -> tuple[int, int]:
    """Return where the value of a setting starts and ends in the text."""
    for key in path.split("."):
        pairs = node.value if isinstance(node, MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(node, ScalarNode) and not (isinstance(node, SequenceNode) and node.flow_style):
        raise InputError(f"params.yaml: {path}: missing; add it, as deepen init NEW writes it")
    if node.anchor is not None:
        raise InputError(
            f"params.yaml: {path}: has an anchor or alias, so other settings share it; write its value there"
        )
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):  # its span includes the line end and empty lines
        end = start + len(text[start:end].rstrip())
    return start, end


def _keep_column(rest: str, longer: int) -> str:
    """Return what follows a value, with its comment in the same column if the value is `longer` by some characters."""
    if match := re.match(" +(?=#)", rest):
        return " " * max(1, len(match[0]) - longer) + rest[match.end() :]
    return rest


def dump_value(value: object) -> str:
    """Return a value as written in a params.yaml."""
    if value is None:
        return "null"
    yaml, file = YAML(), io.StringIO()
    yaml.width = 1_000_000
    if isinstance(value, list):
        yaml.default_flow_style = True
        yaml.dump(value, file)
        return file.getvalue().rstrip("\n")
    yaml.dump({"value": value}, file)
    return file.getvalue().removeprefix("value: ").rstrip("\n")
