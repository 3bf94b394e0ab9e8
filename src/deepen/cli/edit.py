"""Add a model or a setting to the text of a params.yaml, and keep every other character."""

import io
import re
from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node

from deepen.config.settings import check_text
from deepen.core.errors import InputError
from deepen.core.yaml_reading import compose, parse_yaml

_LINE_END = re.compile(r"\r\n|\n|\r")


def add_model(text: str, name: str, entry: Mapping[str, object]) -> str:
    """Return the text of a params.yaml with one more model after the others, with the line endings of the text.

    Raises InputError if a model of that name exists, if `models` does not have one key per line, and with all faults
    of the new settings.
    """
    settings = check_text(text)
    if name in settings.models:
        raise InputError(f"params.yaml: models.{name}: already exists; choose another name")
    models = _find_models(compose(text))
    if models is None or models.flow_style:
        raise InputError("params.yaml: models: must be block style, one key per line; write it without braces")
    column = models.value[0][0].start_mark.column
    indented = [value for _, value in models.value if isinstance(value, MappingNode) and not value.flow_style]
    deeper = indented[0].start_mark.column - column if indented else 2
    new = _add_entry(text, models, {name: dict(entry)}, deeper)
    check_text(new)
    _check_unchanged(text, new, name, entry)
    return new


def add_setting(text: str, path: str, value: object) -> str:
    """Return the text of a params.yaml with one more setting, after the others of its section."""
    *above, name = path.split(".")
    section = compose(text)
    for each in above:
        pairs = section.value if isinstance(section, MappingNode) else []
        section = next((below for key, below in pairs if key.value == each), None)
    if not isinstance(section, MappingNode) or section.flow_style:
        raise InputError(f"params.yaml: {path}: can't be added automatically; add it by hand")
    return _add_entry(text, section, {name: value}, 2)


def _add_entry(text: str, section: MappingNode, entry: Mapping[str, object], indentation: int) -> str:
    column = section.value[0][0].start_mark.column
    lines = [" " * column + line for line in _dump_yaml(entry, indentation).splitlines()]
    return _insert_lines(text, _find_end(*section.value[-1]), lines)


def _insert_lines(text: str, end: int, lines: list[str]) -> str:
    """Insert lines into the text, after the line in which a value has its `end`."""
    first = _LINE_END.search(text)
    line_end = first[0] if first else "\n"
    if not text[:end].endswith(("\n", "\r")):
        after = _LINE_END.search(text, end)
        if after is None:
            return text + "".join(line_end + line for line in lines)
        end = after.end()
    return text[:end] + "".join(line + line_end for line in lines) + text[end:]


def _dump_yaml(entry: Mapping[str, object], indentation: int) -> str:
    yaml, file = YAML(), io.StringIO()
    yaml.width = 1_000_000
    yaml.indent(mapping=indentation)
    yaml.dump(entry, file)
    return file.getvalue()


def _find_models(root: Node | None) -> MappingNode | None:
    pairs = root.value if isinstance(root, MappingNode) else []
    models = next((value for key, value in pairs if key.value == "models"), None)
    return models if isinstance(models, MappingNode) else None


def _find_end(key: Node, value: Node) -> int:
    """Return where an entry ends, as an index into the text; the value of an alias is at an earlier position.

    A block scalar ends at the start of the next line, and may include trailing empty lines.
    """
    if value.start_mark.index < key.end_mark.index:
        return int(key.end_mark.index)
    if isinstance(value, MappingNode) and value.value and not value.flow_style:
        return _find_end(*value.value[-1])
    return int(value.end_mark.index)


def _check_unchanged(text: str, new: str, name: str, entry: Mapping[str, object]) -> None:
    """Raise InputError if more than the model has changed, as when other parts share its text by an anchor."""
    before, after = parse_yaml(text, "params.yaml"), parse_yaml(new, "params.yaml")
    if isinstance(before, dict):
        before["models"] = before["models"] | {name: dict(entry)}
    if before != after:
        raise InputError("params.yaml: models: can't be edited automatically; add the model by hand")
