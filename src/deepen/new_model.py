"""A model written into the text of a params.yaml, of which no other line changes."""

from collections.abc import Mapping

import yaml

from deepen.errors import InputError
from deepen.settings import check_text


def with_model(text: str, name: str, entry: Mapping[str, object]) -> str:
    """The text of a params.yaml with one more model, after the others.

    Raises InputError where there is a model of that name, where `models` is not written a line a key, and with all that
    is wrong with the new settings.
    """
    settings = check_text(text)
    if name in settings.models:
        raise InputError(f"params.yaml: models.{name}: is there already; take another name")
    models = _models(yaml.compose(text, yaml.SafeLoader))
    if models is None or models.flow_style or any(model.flow_style for _, model in models.value):
        raise InputError("params.yaml: models: must have a line for each key to be added to; write it without braces")
    column, deeper = models.value[0][0].start_mark.column, models.value[-1][1].start_mark.column
    lines = text.splitlines(keepends=True)
    end = _last_line(models.value[-1][1]) + 1
    lines[end - 1] = lines[end - 1].rstrip("\n") + "\n"
    written = yaml.safe_dump({name: dict(entry)}, indent=deeper - column, sort_keys=False, width=10_000)
    lines[end:end] = [" " * column + line for line in written.splitlines(keepends=True)]
    new = "".join(lines)
    check_text(new)
    return new


def _models(root: yaml.Node | None) -> yaml.MappingNode | None:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next((value for key, value in pairs if key.value == "models"), None)
    return found if isinstance(found, yaml.MappingNode) else None


def _last_line(node: yaml.Node) -> int:
    """Where a value ends, counted from 0; what follows it up to the next key are comments and empty lines."""
    if not isinstance(node, yaml.CollectionNode) or not node.value or node.flow_style:
        return node.end_mark.line
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)
