"""What is wrong in a params.yaml with names that refer to others, and with layer strings."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deepen.config.validation import NAME, START_FILE, show
from deepen.core.errors import some
from deepen.core.names import MODEL_NAME, RESERVED, SCRATCH
from deepen.core.nearest import suggestion
from deepen.models.notation import check_notation, weight_layers, width_fault


def reference_faults(content: Mapping[str, Any]) -> Iterator[str]:
    """Faults in names and layer strings, where their types are right, so that none is told twice."""
    for key, among in (("data", "datasets"), ("recipe", "recipes"), ("depth", "models")):
        name, names = content.get(key), content.get(among)
        if isinstance(name, str) and isinstance(names, dict) and name not in names:
            yield f"{key}: '{name[:60]}' is none of the {among}: {_listed(names)}{suggestion(name, names)}"
        for name in map(str, names if isinstance(names, dict) and among != "models" else ()):
            if not re.fullmatch(NAME, name):
                yield f"{among}.{name[:60]!a}: must be 1 to 64 letters, digits, - and _; write for example mine"
    yield from _view_faults(content.get("datasets"))
    models = content.get("models")
    if isinstance(models, dict):
        known = {name: model for name, model in models.items() if isinstance(name, str) and isinstance(model, dict)}
        yield from _name_faults(known)
        yield from _layer_faults(known, *_width(content))
        yield from _ladder_faults(known)
        yield from _start_faults(known)
        yield from _width_faults(known, *_width(content))


def _width(content: Mapping[str, Any]) -> tuple[str, object]:
    """Where the width of the networks stands, and what it is there."""
    width, data, datasets = (content.get(key) for key in ("width", "data", "datasets"))
    named = isinstance(data, str) and re.fullmatch(NAME, data)  # what is no name is told elsewhere
    dataset = datasets.get(data) if isinstance(datasets, dict) and named else None
    if width == "auto" and isinstance(dataset, dict):
        return f"datasets.{data}.width", dataset.get("width")
    return "width", width


def _width_faults(models: Mapping[str, Any], where: str, width: object) -> Iterator[str]:
    """What `width: auto` takes does not fit an imported network; a typed width may be that of the file."""
    for name, model in models.items():
        if where != "width" and type(width) in (int, float) and width != 1 and isinstance(model.get("start"), str):
            yield (
                f"width: auto takes {where}: {width}, which multiplies channels, and models.{name}.start is an "
                "imported network, whose channels have a size already; write width: 1.0"
            )


def _view_faults(datasets: object) -> Iterator[str]:
    for name, dataset in datasets.items() if isinstance(datasets, dict) else ():
        size, view = (dataset.get(key) if isinstance(dataset, dict) else None for key in ("size", "view"))
        if type(size) is type(view) is int and 1 <= size < view:
            yield f"datasets.{name}.view: {view} is more than the images have, size: {size}; write at most view: {size}"


def _name_faults(models: Mapping[str, Any]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in models:
        if not re.fullmatch(MODEL_NAME, name):
            yield f"models.{name[:60]!a}: names files, so 1 to 32 letters, digits, - and _; write for example IV"
        elif name.lower() in RESERVED:
            yield f"models.{name}: is reserved, as are {', '.join(RESERVED)}; take another name"
        elif name.lower() in seen:
            yield f"models.{name}: and models.{seen[name.lower()]} are one file name on some disks; rename one"
        seen.setdefault(name.lower(), name)


def _layer_faults(models: Mapping[str, Any], where: str, width: object) -> Iterator[str]:
    for name, model in models.items():
        layers = model.get("layers")
        if not isinstance(layers, str):
            continue
        faults = check_notation(layers)
        yield from (f"models.{name}.{fault}" for fault in faults)
        if not faults and isinstance(width, int | float) and 0 < width < 1 and (fault := width_fault(layers, width)):
            yield f"{where}: {fault}"


def _ladder_faults(models: Mapping[str, Any]) -> Iterator[str]:
    depth = {
        name: weight_layers(model["layers"])
        for name, model in models.items()
        if isinstance(model.get("layers"), str) and not check_notation(model["layers"])
    }
    in_cycles = _cycles(models)
    for name, model in models.items():
        after = model.get("after")
        if not isinstance(after, str) or after == SCRATCH:
            continue
        if after not in models:
            known = _listed(models) + suggestion(after, (SCRATCH, *models))
            yield f"models.{name}.after: '{after[:60]}' is an unknown model; it must be {SCRATCH} or one of {known}"
        elif cycle := in_cycles.get(name):
            start = cycle.index(name)
            circle = " after ".join([*cycle[start:], *cycle[:start], name][:10]) + (" and so on" * (len(cycle) > 9))
            yield f"models.{name}.after: grows from itself, {circle}; let one of them grow from {SCRATCH}"
        elif name in depth and after in depth and depth[after] >= depth[name]:
            yield (
                f"models.{name}.after: {name} has {depth[name]} weight layers and '{after}' {depth[after]}; "
                f"a model grows from a shallower one"
            )


def _start_faults(models: Mapping[str, Any]) -> Iterator[str]:
    for name, model in models.items():
        start, after = model.get("start"), model.get("after")
        if model.get("frozen") and after == SCRATCH and start is None:
            yield f"models.{name}.frozen: {name} starts random, and would stay so; remove frozen, or give it a start"
        if not isinstance(start, str):
            continue
        if not re.fullmatch(START_FILE, start):
            yield f"models.{name}.start: {show(start)} has no hash in its name; write what deepen import named the file"
        if isinstance(after, str) and after != SCRATCH:
            yield (
                f"models.{name}.start: is for a model after {SCRATCH}, and {name} grows from '{after}'; "
                f"write after: {SCRATCH}, or remove start"
            )


def _cycles(models: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each model that grows from itself: all models of its cycle, each followed by the one it grows from."""
    found: dict[str, list[str]] = {}
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
            found |= dict.fromkeys(cycle, cycle)
    return found


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(some([str(name)[:60] for name in names])) or "none"
