"""Validation of setting overrides (-S): their syntax, their names, and the params.yaml that they result in."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from deepen.config.keys import list_known_keys
from deepen.config.settings import Model, Settings, check_settings
from deepen.core.errors import InputError, quote
from deepen.core.nearest import find_nearest

MOST_COMBINATIONS = 200  # checked of a grid


def find_change_faults(
    content: Mapping[str, Any], changes: Sequence[str], option: str = "-S ", name: str = "params.yaml, changed by -S"
) -> list[str]:
    """Return the faults of changes, in Hydra's grammar, to the content of a params.yaml, one sentence each.

    For lists of values, all combinations are checked. Changes that contain ${...} are left to DVC. `option` is what
    was typed before a change, `name` what the changed settings are called.
    """
    overrides, faults = _parse(content, changes, option)
    if faults or any("${" in change for change in changes):
        return faults
    unique_faults: dict[str, None] = {}
    for values in islice(product(*map(_iter_values, overrides)), MOST_COMBINATIONS):
        changed: dict[str, Any] = copy.deepcopy(dict(content))
        for override, value in zip(overrides, values, strict=True):
            _apply(changed, override, value)
        try:
            check_settings(changed, name if overrides else "params.yaml")
        except InputError as error:
            unique_faults |= dict.fromkeys(error.faults)
    return list(unique_faults)


def apply_changes(content: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return the content of a params.yaml after valid changes, each of one value."""
    changed: dict[str, Any] = copy.deepcopy(dict(content))
    for override in _parse(content, changes)[0]:
        _apply(changed, override, override.value())
    return changed


def list_values(content: Mapping[str, Any], change: str) -> list[Any]:
    """Return the values of a valid change: several, if commas separate them."""
    (override,), _ = _parse(content, [change])
    return [_to_builtin(value) for value in _iter_values(override)]


def count_combinations(content: Mapping[str, Any], changes: Sequence[str]) -> int:
    """Return the number of runs of valid changes: all combinations of their values."""
    overrides, _ = _parse(content, changes)
    return prod(sum(1 for _ in _iter_values(override)) for override in overrides)


def _parse(content: Mapping[str, Any], changes: Sequence[str], option: str = "-S ") -> tuple[list[Override], list[str]]:
    """Return the parsed changes of params.yaml, and the faults of their syntax and names."""
    overrides, faults = [], []
    for change in changes:
        key = change.partition("=")[0]
        if not key.strip("+~"):
            faults.append(f"{option}{quote(change)[:200]}: missing setting name; write for example {option}lr=0.01")
            continue
        if ":" in key and not key.startswith("params.yaml:"):
            continue  # a change of another file
        try:
            override = OverridesParser.create().parse_override(change.removeprefix("params.yaml:"))
        except HydraException:
            faults.append(_describe_syntax_error(change, option))
            continue
        overrides.append(override)
        faults += filter(
            None, [_find_name_fault(content, override, option) or _find_values_fault(change, override, option)]
        )
    return overrides, faults


def _describe_syntax_error(change: str, option: str) -> str:
    key, equals, _ = change.partition("=")
    if not equals:
        return f"{option}{quote(change)[:200]}: missing value; write for example {option}lr=0.01"
    if not re.fullmatch(r"[+~]{0,2}[A-Za-z_][\w-]*(\.[\w-]+)*", key.removeprefix("params.yaml:")):
        return f"{option}{quote(change)[:200]}: invalid setting name; write for example {option}lr=0.01"
    remedy = f"separate values by one comma, as in {option}lr=0.01,0.02, and put text with special characters in quotes"
    return f"{option}{quote(change)[:200]}: invalid value; {remedy}"


def _find_name_fault(content: Mapping[str, Any], override: Override, option: str) -> str:
    """Return the fault of a setting's name, that it is unknown; empty if it is valid."""
    node: Any = content
    key = override.key_or_group
    if override.is_add() or override.is_force_add():
        return ""
    if _can_be_added(content, key):
        return f"{option}{quote(key)[:200]}: not in params.yaml yet; write {option}+{quote(key)[:200]}=... to add it"
    for i, part in enumerate(parts := key.split(".")):
        if not isinstance(node, Mapping) or part not in node:
            if isinstance(node, Mapping) and part in (keys := list_known_keys(Settings, content, parts[:i])):
                example = "it" if keys[part] is None else f"for example {part}: {keys[part]}"
                where = quote(".".join(parts[: i + 1]))[:200]
                return f"{option}{quote(key)[:200]}: {where} is missing in params.yaml; add {example} there"
            siblings = list(map(str, node)) if isinstance(node, Mapping) else []
            return f"{option}{quote(key)[:200]}: unknown setting{_suggest(content, key, part, siblings)}"
        node = node[part]
    return ""


def _can_be_added(content: Mapping[str, Any], key: str) -> bool:
    """Return whether a key is an optional setting that its model does not have yet."""
    first, _, rest = key.partition(".")
    name, _, field = rest.partition(".")
    models = content.get("models")
    model = models.get(name) if first == "models" and isinstance(models, Mapping) else None
    return isinstance(model, Mapping) and field in Model.model_fields and field not in model


def _find_values_fault(change: str, override: Override, option: str) -> str:
    """Return a fault if the values can't be listed, as those of an interval; else empty."""
    try:
        next(_iter_values(override), None)
    except HydraException:
        return f"{option}{quote(change)[:200]}: can't list its values; write them separated by commas"
    return ""


def _suggest(content: Mapping[str, Any], key: str, part: str, siblings: Sequence[str]) -> str:
    """Suggest the nearest known name: with the wrong part replaced, else one with the same last part, else any."""
    known = _list_paths(content)
    before, after = key.split(part, 1)
    nearest = f"{before}{find_nearest(part, siblings)}{after}"
    if nearest not in known:
        same_ending = [path for path in known if path.rpartition(".")[2] == key.rpartition(".")[2]]
        nearest = find_nearest(key, same_ending, 0.0) or find_nearest(key, known) or ""
    return f"; did you mean {nearest}?" if nearest else "; see params.yaml for all settings"


def _list_paths(node: object, before: str = "") -> list[str]:
    """Return the paths of all settings, such as models.I.epochs."""
    if not isinstance(node, Mapping):
        return []
    return [path for key, value in node.items() for path in (f"{before}{key}", *_list_paths(value, f"{before}{key}."))]


def _iter_values(override: Override) -> Iterator[Any]:
    return iter(override.sweep_iterator()) if override.is_sweep_override() else iter([override.value()])


def _apply(content: dict[str, Any], override: Override, value: Any) -> None:
    """Set, add or remove a setting, as Hydra does."""
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
        node[last] = _merge(node.get(last), _to_builtin(value))


def _merge(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    return new


def _to_builtin(value: Any) -> Any:
    """Convert a value of Hydra, which has a string class of its own, to builtin types."""
    if isinstance(value, dict):
        return {str(key): _to_builtin(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_to_builtin(each) for each in value]
    return str(getattr(value, "text", value)) if isinstance(value, str) or hasattr(value, "text") else value
