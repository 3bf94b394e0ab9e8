"""What is wrong with changes of settings, as -S gives them: their names, and what they make of a params.yaml."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from deepen.config.settings import Model, check_settings
from deepen.core.errors import InputError, plain
from deepen.core.nearest import find_nearest

MOST_COMBINATIONS = 200  # of a grid that are checked


def change_faults(content: Mapping[str, Any], changes: Sequence[str]) -> list[str]:
    """What is wrong with these changes, in Hydra's grammar, of the content of a params.yaml, a sentence a fault.

    Of several values between commas each is tried with all others. What has ${...} in it is left to DVC.
    """
    overrides, faults = _parsed(content, changes)
    if faults or any("${" in change for change in changes):
        return faults
    found: dict[str, None] = {}
    for values in islice(product(*map(_values, overrides)), MOST_COMBINATIONS):
        changed: dict[str, Any] = copy.deepcopy(dict(content))
        for override, value in zip(overrides, values, strict=True):
            _apply(changed, override, value)
        try:
            check_settings(changed, "params.yaml" + (", changed by -S" if overrides else ""))
        except InputError as error:
            found |= dict.fromkeys(error.faults)
    return list(found)


def combinations(content: Mapping[str, Any], changes: Sequence[str]) -> int:
    """How many runs these changes, which have no fault, ask for: each value between commas with all others."""
    overrides, _ = _parsed(content, changes)
    return prod(sum(1 for _ in _values(override)) for override in overrides)


def _parsed(content: Mapping[str, Any], changes: Sequence[str]) -> tuple[list[Override], list[str]]:
    """The changes of params.yaml, taken apart, and what is wrong with their names."""
    overrides, faults = [], []
    for change in changes:
        key = change.partition("=")[0]
        if not key.strip("+~"):
            faults.append(f"-S {plain(change)[:200]}: names no setting; write for example -S lr=0.01")
            continue
        if ":" in key and not key.startswith("params.yaml:"):
            continue  # of another file
        try:
            override = OverridesParser.create().parse_override(change.removeprefix("params.yaml:"))
        except HydraException as error:
            reason = str(error).splitlines()[0]
            faults.append(f"-S {plain(change)[:200]}: can't be read ({reason}); write for example -S lr=0.01")
            continue
        overrides.append(override)
        faults += filter(None, [_name_fault(content, override) or _values_fault(change, override)])
    return overrides, faults


def _name_fault(content: Mapping[str, Any], override: Override) -> str:
    """What is wrong with the name of a setting, if anything is: the first part of it that is unknown."""
    node: Any = content
    key = override.key_or_group
    if override.is_add() or override.is_force_add():
        return ""
    if _may_be_added(content, key):
        return f"-S {plain(key)[:200]}: not in params.yaml yet; write -S +{plain(key)[:200]}=... to add it"
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            siblings = list(map(str, node)) if isinstance(node, Mapping) else []
            return f"-S {plain(key)[:200]}: unknown setting{_meant(content, key, part, siblings)}"
        node = node[part]
    return ""


def _may_be_added(content: Mapping[str, Any], key: str) -> bool:
    """Whether it is a setting that a model may have and doesn't yet."""
    first, _, rest = key.partition(".")
    name, _, field = rest.partition(".")
    models = content.get("models")
    model = models.get(name) if first == "models" and isinstance(models, Mapping) else None
    return isinstance(model, Mapping) and field in Model.model_fields and field not in model


def _values_fault(change: str, override: Override) -> str:
    """What is wrong with several values to try, if anything is: an interval can't be listed."""
    try:
        next(_values(override), None)
    except HydraException:
        return f"-S {plain(change)[:200]}: its values can't be listed; write them with commas between"
    return ""


def _meant(content: Mapping[str, Any], key: str, part: str, siblings: Sequence[str]) -> str:
    """The nearest right name: with the wrong part replaced, else of those that end alike, else of all."""
    known = _paths(content)
    before, after = key.split(part, 1)
    found = f"{before}{find_nearest(part, siblings)}{after}"
    if found not in known:
        alike = [path for path in known if path.rpartition(".")[2] == key.rpartition(".")[2]]
        found = find_nearest(key, alike, 0.0) or find_nearest(key, known) or ""
    return f"; did you mean {found}?" if found else "; params.yaml has all of them"


def _paths(node: object, before: str = "") -> list[str]:
    """All settings by path."""
    if not isinstance(node, Mapping):
        return []
    return [path for key, value in node.items() for path in (f"{before}{key}", *_paths(value, f"{before}{key}."))]


def _values(override: Override) -> Iterator[Any]:
    return iter(override.sweep_iterator()) if override.is_sweep_override() else iter([override.value()])


def _apply(content: dict[str, Any], override: Override, value: Any) -> None:
    """Set, add or remove one setting, as Hydra does."""
    *parents, last = override.key_or_group.split(".")
    node = content
    for part in parents:
        below = node.setdefault(part, {})
        if not isinstance(below, dict):
            below = node[part] = {}
        node = below
    if override.is_delete():
        node.pop(last, None)
    else:
        node[last] = _merged(node.get(last), _plain_value(value))


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    return new


def _plain_value(value: Any) -> Any:
    """A value of Hydra's, in which texts may be of a class of its own."""
    if isinstance(value, dict):
        return {str(key): _plain_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain_value(each) for each in value]
    return str(getattr(value, "text", value)) if isinstance(value, str) or hasattr(value, "text") else value
