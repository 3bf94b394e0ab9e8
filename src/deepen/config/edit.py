"""A model written into the text of a params.yaml, of which no other character changes."""

import io
import re
from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node

from deepen.config.settings import check_text
from deepen.core.errors import InputError
from deepen.core.yaml_reading import compose, parse_yaml

_LINE_END = re.compile(r"\r\n|\n|\r")


def with_model(text: str, name: str, entry: Mapping[str, object]) -> str:
    """The text of a params.yaml with one more model, after the others, and its own line ends.

    Raises InputError where there is a model of that name, where `models` is not written a line a key, and with all that
    is wrong with the new settings.
    """
    settings = check_text(text)
    if name in settings.models:
        raise InputError(f"params.yaml: models.{name}: exists already; take another name")
    models = _models(compose(text))
    if models is None or models.flow_style:
        raise InputError("params.yaml: models: must have a line for each key to be added to; write it without braces")
    column = models.value[0][0].start_mark.column
    indented = [value for _, value in models.value if isinstance(value, MappingNode) and not value.flow_style]
    deeper = indented[0].start_mark.column - column if indented else 2
    lines = [" " * column + line for line in _written({name: dict(entry)}, deeper).splitlines()]
    new = _inserted(text, _end(*models.value[-1]), lines)
    check_text(new)
    _check_the_rest(text, new, name, entry)
    return new


def _inserted(text: str, end: int, lines: list[str]) -> str:
    """The text with these lines after the one in which a value has its `end`."""
    found = _LINE_END.search(text)
    line_end = found[0] if found else "\n"
    if not text[:end].endswith(("\n", "\r")):
        after = _LINE_END.search(text, end)
        if after is None:
            return text + "".join(line_end + line for line in lines)
        end = after.end()
    return text[:end] + "".join(line + line_end for line in lines) + text[end:]


def _written(entry: Mapping[str, object], indentation: int) -> str:
    yaml, file = YAML(), io.StringIO()
    yaml.width = 1_000_000
    yaml.indent(mapping=indentation)
    yaml.dump(entry, file)
    return file.getvalue()


def _models(root: Node | None) -> MappingNode | None:
    pairs = root.value if isinstance(root, MappingNode) else []
    found = next((value for key, value in pairs if key.value == "models"), None)
    return found if isinstance(found, MappingNode) else None


def _end(key: Node, value: Node) -> int:
    """Where an entry ends, as an index into the text; an alias stands for a value that is written before.

    A text of several lines ends where the next line begins, and its last empty lines may be part of it.
    """
    if value.start_mark.index < key.end_mark.index:
        return int(key.end_mark.index)
    if isinstance(value, MappingNode) and value.value and not value.flow_style:
        return _end(*value.value[-1])
    return int(value.end_mark.index)


def _check_the_rest(text: str, new: str, name: str, entry: Mapping[str, object]) -> None:
    """Raise InputError where more than the model has changed, as where others share its text through an anchor."""
    before, after = parse_yaml(text, "params.yaml"), parse_yaml(new, "params.yaml")
    if isinstance(before, dict):
        before["models"] = before["models"] | {name: dict(entry)}
    if before != after:
        raise InputError("params.yaml: models: is written in a way that can't be added to; add the model by hand")
