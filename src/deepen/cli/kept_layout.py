"""Keep the layout of a params.yaml in which DVC has changed settings: DVC writes the whole file in its own style."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from deepen.cli.edit import add_setting
from deepen.cli.settings_file import lock_settings, read_settings_text, write_settings_text
from deepen.core.errors import InputError
from deepen.core.lookup import MISSING, get_setting
from deepen.core.notes import print_warnings
from deepen.core.yaml_reading import parse_yaml


@contextmanager
def keep_layout(path: Path) -> Iterator[None]:
    """Write the text of a params.yaml anew with the settings that it has afterwards, and all else as it was.

    If that is not possible, as with a setting that was removed, a warning says so.
    """
    with lock_settings(path):
        text = read_settings_text(path)
        yield
        applied = parse_yaml(read_settings_text(path), str(path))
        if (new := merge_settings(text, applied)) is None:
            print_warnings([f"{path}: its settings are those of the experiment, its layout is DVC's"])
        else:
            write_settings_text(path, new)


def merge_settings(text: str, settings: object) -> str | None:
    """Return the text of a params.yaml with these settings, and all else unchanged; None if that is not possible."""
    from deepen.project.settings_text import replace_values

    before = parse_yaml(text, "params.yaml")
    if not isinstance(before, dict) or not isinstance(settings, dict):
        return None
    changed, added = dict[str, Any](), dict[str, Any]()
    for path, value in find_differences(before, settings):
        (added if get_setting(before, path) is MISSING else changed)[path] = value
    try:
        new = replace_values(text, changed)
        for path, value in added.items():
            new = add_setting(new, path, value)
        return new if parse_yaml(new, "params.yaml") == settings else None
    except (InputError, YAMLError):  # also of a text in between
        return None


def find_differences(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the new value of each setting of a params.yaml that was changed or added."""
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            yield from find_differences(old, value, f"{above}{key}.")
        elif key not in before or old != value or type(old) is not type(value):
            yield f"{above}{key}", value
