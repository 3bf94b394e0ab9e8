"""The settings in which runs of a ladder differ, of those that their results depend on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_OF_NO_RESULT = ("checkpoint_seconds", "progress")
_CHOSEN = {"datasets": "data", "recipes": "recipe"}  # of whose entries one setting names the one that counts
_LEFT_OUT = "default"  # a setting that an entry does not have


def differences(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """For each run, the content of a params.yaml: the settings in which not all are equal, by path, as text.

    A setting of a data set, a recipe or a model counts among the runs that use that.
    """
    flat = [dict(_settings(run)) for run in runs]
    entries = [{_entry(path) for path in each} for each in flat]
    paths = list(dict.fromkeys(path for each in flat for path in each))
    rows = [
        {path: each.get(path, _LEFT_OUT) for path in paths if _entry(path) in used}
        for each, used in zip(flat, entries, strict=True)
    ]
    varied = [path for path in paths if len({row[path] for row in rows if path in row}) > 1]
    return [{path: row[path] for path in varied if path in row} for row in rows]


def _entry(path: str) -> str:
    """What a path is part of: of models.I.epochs models.I, of lr nothing."""
    return ".".join(path.split(".")[:2]) if "." in path else ""


def _settings(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All settings of a run on which its result depends, by path."""
    for key, value in run.items():
        if not isinstance(value, dict):
            if key not in _OF_NO_RESULT:
                yield key, _text(value)
            continue
        used = _ancestry(value, run.get("depth")) if key == "models" else [run.get(_CHOSEN.get(key, ""))]
        for name in (name for name in value if name in used):
            yield from _flat(f"{key}.{name}", value[name])


def _ancestry(models: Mapping[str, Any], name: Any) -> list[Any]:
    """A model and all that it grew from."""
    found: list[Any] = []
    while isinstance(model := models.get(name), dict) and name not in found:
        found.append(name)
        name = model.get("after")
    return found


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _flat(f"{path}.{key}", each)
    else:
        yield path, _text(value)


def _text(value: object) -> str:
    """A value as params.yaml has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
