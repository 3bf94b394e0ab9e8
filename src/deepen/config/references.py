"""Faults of params.yaml beyond types: references to unknown names, and layer strings."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deepen.config.validation import NAME, START_FILE
from deepen.core.errors import trim
from deepen.core.names import MODEL_NAME, RESERVED, SCRATCH
from deepen.core.nearest import suggest_name
from deepen.core.wording import format_value
from deepen.models.notation import count_weight_layers, find_notation_faults, find_width_fault

_REFERENCES = {"data": ("datasets", "data set"), "recipe": ("recipes", "recipe"), "depth": ("models", "model")}


def find_reference_faults(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults of names and layer strings of the right type; wrong types are reported elsewhere."""
    for key, (among, kind) in _REFERENCES.items():
        name, names = content.get(key), content.get(among)
        if isinstance(name, str) and isinstance(names, dict) and names and name not in names:
            yield f"{key}: unknown {kind} '{name[:60]}'; use one of {_list_names(names)}{suggest_name(name, names)}"
        for name in map(str, names if isinstance(names, dict) and among != "models" else ()):
            if not re.fullmatch(NAME, name):
                yield f"{among}.{name[:60]!a}: invalid name; use 1 to 64 letters, digits, - and _, for example mine"
    yield from _find_view_faults(content.get("datasets"))
    models = content.get("models")
    if isinstance(models, dict):
        known = {name: model for name, model in models.items() if isinstance(name, str) and isinstance(model, dict)}
        yield from _find_name_faults(known)
        yield from _find_layer_faults(known, *_find_width(content))
        yield from _find_ladder_faults(known)
        yield from _find_start_faults(known)
        yield from _find_width_faults(known, *_find_width(content))


def _find_width(content: Mapping[str, Any]) -> tuple[str, object]:
    """Return the path of the setting for the width of the networks, and its value."""
    width, data, datasets = (content.get(key) for key in ("width", "data", "datasets"))
    named = isinstance(data, str) and re.fullmatch(NAME, data)  # an invalid name is reported elsewhere
    dataset = datasets.get(data) if isinstance(datasets, dict) and named else None
    if width == "auto" and isinstance(dataset, dict):
        return f"datasets.{data}.width", dataset.get("width")
    return "width", width


def _find_width_faults(models: Mapping[str, Any], where: str, width: object) -> Iterator[str]:
    """Yield a fault for `width: auto` with imported networks, whose width is fixed; a typed width may match it."""
    for name, model in models.items():
        if where != "width" and type(width) in (int, float) and width != 1 and isinstance(model.get("start"), str):
            yield (
                f"width: auto uses {where}: {width}, but models.{name}.start is an imported network, whose "
                "width is fixed; write width: 1.0"
            )


def _find_view_faults(datasets: object) -> Iterator[str]:
    for name, dataset in datasets.items() if isinstance(datasets, dict) else ():
        size, view = (dataset.get(key) if isinstance(dataset, dict) else None for key in ("size", "view"))
        if type(size) is type(view) is int and 1 <= size < view:
            yield f"datasets.{name}.view: {view} is larger than the images, size: {size}; write at most view: {size}"


def _find_name_faults(models: Mapping[str, Any]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in models:
        if not re.fullmatch(MODEL_NAME, name):
            yield f"models.{name[:60]!a}: invalid model name; use 1 to 32 letters, digits, - and _, for example IV"
        elif name.lower() in RESERVED:
            yield f"models.{name}: reserved name ({', '.join(RESERVED)}); choose another name"
        elif name.lower() in seen:
            yield f"models.{name}: differs from models.{seen[name.lower()]} only in upper and lower case; rename one"
        seen.setdefault(name.lower(), name)


def _find_layer_faults(models: Mapping[str, Any], where: str, width: object) -> Iterator[str]:
    for name, model in models.items():
        layers = model.get("layers")
        if not isinstance(layers, str):
            continue
        faults = find_notation_faults(layers)
        yield from (f"models.{name}.{fault}" for fault in faults)
        if (
            not faults
            and isinstance(width, int | float)
            and 0 < width < 1
            and (fault := find_width_fault(layers, width))
        ):
            yield f"{where}: {fault}"


def _find_ladder_faults(models: Mapping[str, Any]) -> Iterator[str]:
    depth = {
        name: count_weight_layers(model["layers"])
        for name, model in models.items()
        if isinstance(model.get("layers"), str) and not find_notation_faults(model["layers"])
    }
    in_cycles = _find_cycles(models)
    for name, model in models.items():
        after = model.get("after")
        if not isinstance(after, str) or after == SCRATCH:
            continue
        if after not in models:
            known = _list_names(models) + suggest_name(after, (SCRATCH, *models))
            yield f"models.{name}.after: unknown model '{after[:60]}'; use {SCRATCH} or one of {known}"
        elif cycle := in_cycles.get(name):
            start = cycle.index(name)
            circle = " after ".join([*cycle[start:], *cycle[:start], name][:10]) + (" and so on" * (len(cycle) > 9))
            yield f"models.{name}.after: circular dependency, {circle}; write after: {SCRATCH} for one of them"
        elif name in depth and after in depth and depth[after] >= depth[name]:
            yield (
                f"models.{name}.after: {name} has {depth[name]} weight layers and '{after}' {depth[after]}; "
                "name a shallower model"
            )


def _find_start_faults(models: Mapping[str, Any]) -> Iterator[str]:
    for name, model in models.items():
        start, after = model.get("start"), model.get("after")
        if model.get("frozen") and after == SCRATCH and start is None:
            yield f"models.{name}.frozen: layers of {name} start random, and would stay so; remove frozen, or set start"
        if not isinstance(start, str):
            continue
        if not re.fullmatch(START_FILE, start):
            yield f"models.{name}.start: {format_value(start)} has no hash in its name; use a file of deepen import"
        if isinstance(after, str) and after != SCRATCH:
            yield (
                f"models.{name}.start: requires after: {SCRATCH}, but {name} grows from '{after}'; "
                f"write after: {SCRATCH}, or remove start"
            )


def _find_cycles(models: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return, for each model in a cycle, all models of the cycle, each followed by the one it grows from."""
    in_cycles: dict[str, list[str]] = {}
    done: set[str] = set()
    for name in models:
        path: dict[str, None] = {}  # in the order of insertion
        while name in models and name not in done:
            path[name] = None
            done.add(name)
            after = models[name].get("after")
            name = after if isinstance(after, str) else SCRATCH
        if name in path:
            cycle = list(path)[list(path).index(name) :]
            in_cycles |= dict.fromkeys(cycle, cycle)
    return in_cycles


def _list_names(names: Mapping[str, Any]) -> str:
    return ", ".join(trim([str(name)[:60] for name in names]))
