"""The settings in which runs of a ladder differ, limited to those that affect results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WITHOUT_EFFECT = ("checkpoint_seconds", "progress", "saliency", "tracking")  # on metrics
_SELECTORS = {"datasets": "data", "recipes": "recipe"}  # each setting selects an entry of the section
_DEFAULT = "default"  # shown for a setting that an entry lacks


def find_differences(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return, for each run (the content of a params.yaml), the settings that differ between runs, by path, as text.

    Settings of a data set, a recipe or a model are compared between the runs that use it.
    """
    flat = [dict(_iter_settings(run)) for run in runs]
    entries = [{_get_entry(path) for path in each} for each in flat]
    paths = list(dict.fromkeys(path for each in flat for path in each))
    rows = [
        {path: each.get(path, _DEFAULT) for path in paths if _get_entry(path) in used}
        for each, used in zip(flat, entries, strict=True)
    ]
    varied = [path for path in paths if len({row[path] for row in rows if path in row}) > 1]
    return [{path: row[path] for path in varied if path in row} for row in rows]


def _get_entry(path: str) -> str:
    """Return the entry that a path belongs to: models.I for models.I.epochs, empty for lr."""
    return ".".join(path.split(".")[:2]) if "." in path else ""


def _iter_settings(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the settings that affect the result of a run: path and value as text."""
    for key, value in run.items():
        if not isinstance(value, dict):
            if key not in WITHOUT_EFFECT:
                yield key, _to_text(value)
            continue
        used = _list_ancestry(value, run.get("depth")) if key == "models" else [run.get(_SELECTORS.get(key, ""))]
        for name in (name for name in value if name in used):
            yield from _flatten(f"{key}.{name}", value[name])


def _list_ancestry(models: Mapping[str, Any], name: Any) -> list[Any]:
    """Return the names of a model and of all models that it grew from."""
    names: list[Any] = []
    while isinstance(model := models.get(name), dict) and name not in names:
        names.append(name)
        name = model.get("after")
    return names


def _flatten(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _flatten(f"{path}.{key}", each)
    else:
        yield path, _to_text(value)


def _to_text(value: object) -> str:
    """Format a value as in params.yaml."""
    if isinstance(value, list):
        return f"[{', '.join(map(_to_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
