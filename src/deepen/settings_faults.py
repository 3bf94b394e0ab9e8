"""What is wrong with a params.yaml, in sentences: path, rule, value and remedy."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from deepen.errors import some
from deepen.nearest import suggestion
from deepen.notation import check_notation, weight_layers, width_fault
from deepen.yaml_reading import is_plain_number

SCRATCH = "scratch"  # the pseudo-model that the first model grows from
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"
NAME = r"[A-Za-z0-9_-]{1,64}"  # of a data set or recipe
START_FILE = r"(?s).*-([0-9a-f]{8})\.safetensors"  # the hash is of what is in it, so the setting says that
RESERVED = (SCRATCH, "final", "statistics", "transfer", "init")  # file names beside those of the models


def fault_sentence(content: Mapping[str, Any], detail: ErrorDetails, examples: Mapping[str, Any]) -> str:
    """One of pydantic's findings as: path: rule, value; remedy. `examples` has a good value for every known key.

    Where a key means something else in another part, its example is under `datasets.crop`.
    """
    *parents, last = path = [str(part)[:60] for part in _real_path(content, detail["loc"])]
    where, context, value = ".".join(path), detail.get("ctx", {}), detail["input"]
    example = examples.get(f"{path[0]}.{last}", examples.get(last))
    remedy = (
        f"write for example {last}: {example}"
        if example is not None
        else f"see {'.'.join(parents) or 'the comments'} there"
    )
    match detail["type"]:
        case "missing":
            return f"{where}: is missing; {remedy}"
        case "extra_forbidden":
            known = [key for key in examples if "." not in key]
            meant = "" if last in known else suggestion(last, known)
            return f"{where}: unknown key" + (meant or "; remove it")
        case "literal_error":
            known = re.findall("'([^']*)'", str(context["expected"]))
            return f"{where}: must be {context['expected']}, got {show(value)}{suggestion(str(value), known)}"
        case "union_tag_invalid":
            return f"{where}.{_tag_key(context)}: must be one of {context['expected_tags']}, got {show(context['tag'])}"
        case "union_tag_not_found":
            tag = _tag_key(context)
            return f"{where}.{tag}: is missing; write for example {tag}: {examples[tag]}"
        case "float_type" | "int_type" if isinstance(value, str) and is_plain_number(value.strip()):
            return f"{where}: must be a number, got the string '{value}'; write {value.strip()}"
        case "nesterov":
            return f"{where}: {detail['msg']}"
        case "string_pattern_mismatch":
            return f"{where}: must be one of auto, cpu, mps, cuda and cuda:<number>, got {show(value)}; {remedy}"
    return f"{where}: {_rule(detail['msg'])}, got {show(value)}; {remedy}"


def _rule(message: str) -> str:
    """A message of pydantic's in our words."""
    rule = re.sub("^(Input|String|List|Dictionary) should ", "must ", message)
    rule = re.sub(" (or object to extract fields from|after validation, not [0-9a-z]+)$", "", rule)
    return (
        rule.replace("a valid integer", "a whole number")
        .replace("a valid boolean", "true or false")
        .replace("a valid", "a")
    )


def _real_path(content: Mapping[str, Any], location: tuple[int | str, ...]) -> list[int | str]:
    """pydantic's location without the tags that it inserts for kinds of data sets and schedules."""
    node: Any = content
    path: list[int | str] = []
    for i, part in enumerate(location):
        is_tag = isinstance(node, dict) and i < len(location) - 1 and part not in node
        if not is_tag:
            path.append(part)
            node = node.get(part) if isinstance(node, dict) else None
    return path


def _tag_key(context: Mapping[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def show(value: object) -> str:
    """A value for an error message: its kind where that is not plain, and no more of it than a line holds."""
    if value is None:
        return "nothing"
    kinds = {str: "the string ", bool: "the truth value "}
    text = repr(value)
    return kinds.get(type(value), "") + (text if len(text) <= 60 else text[:57] + "...")


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
