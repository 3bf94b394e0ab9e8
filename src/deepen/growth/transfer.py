"""The name mapping: which tensor of the shallow network becomes which of the deep one.

A mapping speaks of roles (`conv3_2`), never of positions, shapes or order, and it is total both ways: every tensor of
the source is copied or dropped, every tensor of the target is copied or fresh, and each entry hits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from deepen.core.errors import InputError
from deepen.models.layers import Shape
from deepen.models.tensors import State
from deepen.records.transfer_report import TensorFate, TransferReport


@dataclass(frozen=True)
class RoleMapping:
    """Say which layer of a source becomes which layer of a target.

    Attributes
    ----------
    copied : mapping of str to str
        Role in the target -> role in the source.
    fresh : tuple of str
        Roles that only the target has.
    dropped : tuple of str
        Roles of the source that are left out.
    """

    copied: Mapping[str, str]
    fresh: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def map_roles(
    source: Mapping[str, Shape],
    target: Mapping[str, Shape],
    *,
    copied: Mapping[str, str] | None = None,
    fresh: Sequence[str] = (),
    dropped: Sequence[str] = (),
) -> RoleMapping:
    """Map the layers of two state dicts by role: equal names are copied.

    Roles that only the target has are fresh without being listed: that is what growing means. Roles that only the
    source has must be listed in `dropped`, so that nothing is lost without a word.

    Parameters
    ----------
    source, target : mapping of str to shape
        The shape of each tensor by its state-dict key, `<role>.<name>`.
    copied : mapping of str to str, optional
        Role in the target -> role in the source, where names differ.
    fresh, dropped : sequence of str
        Roles of the target and of the source to leave out, though their names are equal.

    Returns
    -------
    RoleMapping
        `transfer` checks that it is total.
    """
    overrides = dict(copied or {})
    taken = {*overrides.values(), *dropped}
    source_roles = set(_roles(source))
    pairs = {
        role: role
        for role in _roles(target)
        if role in source_roles and role not in overrides and role not in fresh and role not in taken
    }
    pairs.update(overrides)
    new = [role for role in _roles(target) if role not in pairs and role not in source_roles and role not in fresh]
    return RoleMapping(pairs, (*fresh, *new), tuple(dropped))


def violations(source: Mapping[str, Shape], target: Mapping[str, Shape], mapping: RoleMapping) -> list[str]:
    """Everything that keeps a mapping from being total, one sentence each; `source` and `target` are shapes by key."""
    source_roles, target_roles = _by_role(source), _by_role(target)
    faults: list[str] = []
    for role, origin in mapping.copied.items():
        if role not in target_roles:
            faults.append(f"mapping: {role}: {origin} names no layer of the target; it has {', '.join(target_roles)}")
        elif origin not in source_roles:
            faults.append(f"mapping: {role}: {origin} names no layer of the source; it has {', '.join(source_roles)}")
        else:
            faults += _unequal(role, origin, source_roles[origin], target_roles[role])
    faults += [f"fresh: {role} names no layer of the target" for role in mapping.fresh if role not in target_roles]
    faults += [f"dropped: {role} names no layer of the source" for role in mapping.dropped if role not in source_roles]
    faults += _counted_once("target", target_roles, [*mapping.copied, *mapping.fresh], "copied nor fresh", "fresh")
    faults += _counted_once(
        "source", source_roles, [*mapping.copied.values(), *mapping.dropped], "copied nor dropped", "dropped"
    )
    return faults


def _unequal(role: str, origin: str, theirs: Mapping[str, Shape], ours: Mapping[str, Shape]) -> list[str]:
    faults = [
        f"{role}.{name}: the {'source' if name in ours else 'target'} has none; map {role} to a layer of the same kind"
        for name in sorted(ours.keys() ^ theirs.keys())
    ]
    return faults + [
        f"{role}.{name} has shape {ours[name]}, but {origin}.{name} of the source has {theirs[name]}; "
        f"give both layers the same shape, or list {role} under fresh and {origin} under dropped"
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name] != theirs[name]
    ]


def _counted_once(side: str, roles: Iterable[str], entries: Sequence[str], neither: str, remedy: str) -> list[str]:
    counts = Counter(entries)
    faults = [
        f"{side} layer {role} is neither {neither}; map it or list it under {remedy}"
        for role in roles
        if not counts[role]
    ]
    twice = [role for role, count in counts.items() if count > 1]
    return faults + [f"{side} layer {role} is named {counts[role]} times; name it once" for role in twice]


def transfer(
    source_state: Mapping[str, NDArray[Any]], target_state: Mapping[str, NDArray[Any]], mapping: RoleMapping
) -> tuple[State, TransferReport]:
    """Copy what the mapping says into a new state dict; the rest keeps what `target_state` holds.

    Parameters
    ----------
    source_state, target_state : mapping of str to array
        State dicts of NumPy arrays or PyTorch tensors.
    mapping : RoleMapping
        As `map_roles` returns it.

    Returns
    -------
    state : dict of str to array
        Of the same kind as the arguments, and sharing no memory with them.
    report : TransferReport
        What became of each tensor.

    Raises
    ------
    InputError
        Names every tensor that is left out, named twice, or of another shape or type.
    """
    faults = violations(_shapes(source_state), _shapes(target_state), mapping)
    origins = {
        key: f"{mapping.copied[role]}.{name}"
        for key in target_state
        for role, name in [_split(key)]
        if role in mapping.copied
    }
    faults += [
        f"{key} is {target_state[key].dtype}, but {origin} of the source is {source_state[origin].dtype}; convert one"
        for key, origin in origins.items()
        if origin in source_state and source_state[origin].dtype != target_state[key].dtype
    ]
    if faults:
        raise InputError(faults)
    state, fates = {}, []
    for key, tensor in target_state.items():
        origin = origins.get(key)
        state[key] = deepcopy(source_state[origin] if origin else tensor)
        fates.append(TensorFate("copied" if origin else "fresh", origin, key, tensor.shape))
    for key, tensor in source_state.items():
        if _role(key) in mapping.dropped:
            fates.append(TensorFate("dropped", key, None, tensor.shape))
    return state, TransferReport(tuple(fates))


def _split(key: str) -> tuple[str, str]:
    role, _, name = key.rpartition(".")
    return role, name


def _role(key: str) -> str:
    return _split(key)[0]


def _roles(shapes: Mapping[str, Shape]) -> list[str]:
    return list(dict.fromkeys(_role(key) for key in shapes))


def _by_role(shapes: Mapping[str, Shape]) -> dict[str, dict[str, Shape]]:
    """For each role the shapes of its tensors by name: `weight`, `bias`."""
    found: dict[str, dict[str, Shape]] = {}
    for key, shape in shapes.items():
        role, name = _split(key)
        found.setdefault(role, {})[name] = shape
    return found


def _shapes(state: Mapping[str, NDArray[Any]]) -> dict[str, Shape]:
    return {key: tensor.shape for key, tensor in state.items()}
