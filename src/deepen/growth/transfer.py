"""Transfer weights from a shallow to a deeper network by the names of layers (roles).

A mapping is between roles (`conv3_2`), never by position, shape or order. It must be total: every tensor of the source
is copied or dropped, every tensor of the target is copied or fresh, and every entry exists.
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
from deepen.records.transfer_report import TensorTransfer, TransferReport


@dataclass(frozen=True)
class RoleMapping:
    """Map the layers of a source to the layers of a target.

    Attributes
    ----------
    copied : mapping of str to str
        Role in the target -> role in the source.
    fresh : tuple of str
        Roles that only the target has.
    dropped : tuple of str
        Roles of the source that are not copied.
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

    Roles that only the target has are fresh; they need not be listed. Roles that only the source has must be listed in
    `dropped`, so that nothing is lost silently.

    Parameters
    ----------
    source, target : mapping of str to shape
        The shape of each tensor by its state-dict key, `<role>.<name>`. A key without a dot is a role of its own.
    copied : mapping of str to str, optional
        Role in the target -> role in the source, where names differ.
    fresh, dropped : sequence of str
        Roles of the target and of the source to exclude, even if their names are equal.

    Returns
    -------
    RoleMapping
        `transfer` validates that it is total.
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


def find_violations(source: Mapping[str, Shape], target: Mapping[str, Shape], mapping: RoleMapping) -> list[str]:
    """Return every violation of a total mapping, one sentence each; `source` and `target` are shapes by key."""
    source_roles, target_roles = _group_by_role(source), _group_by_role(target)
    faults: list[str] = []
    for role, origin in mapping.copied.items():
        if role not in target_roles:
            faults.append(f"mapping: {role}: {origin}: unknown target layer; use one of {', '.join(target_roles)}")
        elif origin not in source_roles:
            faults.append(f"mapping: {role}: {origin}: unknown source layer; use one of {', '.join(source_roles)}")
        else:
            faults += _compare_tensors(role, origin, source_roles[origin], target_roles[role])
    faults += [f"fresh: unknown target layer {role}; remove it" for role in mapping.fresh if role not in target_roles]
    faults += [
        f"dropped: unknown source layer {role}; remove it" for role in mapping.dropped if role not in source_roles
    ]
    faults += _check_each_once("target", target_roles, [*mapping.copied, *mapping.fresh], "copied nor fresh", "fresh")
    faults += _check_each_once(
        "source", source_roles, [*mapping.copied.values(), *mapping.dropped], "copied nor dropped", "dropped"
    )
    return faults


def _compare_tensors(role: str, origin: str, theirs: Mapping[str, Shape], ours: Mapping[str, Shape]) -> list[str]:
    faults = [
        f"{_join(role, name)}: missing in the {'source' if name in ours else 'target'}; map {role} to an equal layer"
        for name in sorted(ours.keys() ^ theirs.keys())
    ]
    return faults + [
        f"{_join(role, name)} has shape {ours[name]}, but {_join(origin, name)} of the source has {theirs[name]}; "
        f"give both layers the same shape, or list {role} under fresh and {origin} under dropped"
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name] != theirs[name]
    ]


def _check_each_once(side: str, roles: Iterable[str], entries: Sequence[str], neither: str, remedy: str) -> list[str]:
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
    """Copy the mapped tensors into a new state dict; the other tensors are those of `target_state`.

    Parameters
    ----------
    source_state, target_state : mapping of str to array
        State dicts of NumPy arrays or PyTorch tensors.
    mapping : RoleMapping
        As `map_roles` returns it.

    Returns
    -------
    state : dict of str to array
        Of the same type as the arguments, without shared memory.
    report : TransferReport
        What happened to each tensor.

    Raises
    ------
    InputError
        Lists every tensor that is missing, mapped twice, or different in shape or type.
    """
    faults = find_violations(_shapes(source_state), _shapes(target_state), mapping)
    split, copied = {key: _split(key) for key in target_state}, mapping.copied
    origins = {key: _join(copied[role], name) for key, (role, name) in split.items() if role in copied}
    if faults := faults + _find_dtype_faults(source_state, target_state, origins):
        raise InputError(faults)
    state, transfers = {}, []
    for key, tensor in target_state.items():
        origin = origins.get(key)
        state[key] = deepcopy(source_state[origin] if origin else tensor)
        transfers.append(TensorTransfer("copied" if origin else "fresh", origin, key, tensor.shape))
    for key, tensor in source_state.items():
        if _split(key)[0] in mapping.dropped:
            transfers.append(TensorTransfer("dropped", key, None, tensor.shape))
    return state, TransferReport(tuple(transfers))


def _find_dtype_faults(
    source_state: Mapping[str, NDArray[Any]], target_state: Mapping[str, NDArray[Any]], origins: Mapping[str, str]
) -> list[str]:
    return [
        f"{key} is {target_state[key].dtype}, but {origin} of the source is {source_state[origin].dtype}; convert one"
        for key, origin in origins.items()
        if origin in source_state and source_state[origin].dtype != target_state[key].dtype
    ]


def _split(key: str) -> tuple[str, str]:
    role, _, name = key.rpartition(".")
    return (role, name) if role and name else (key, "")


def _join(role: str, name: str) -> str:
    return f"{role}.{name}" if name else role


def _roles(shapes: Mapping[str, Shape]) -> list[str]:
    return list(dict.fromkeys(_split(key)[0] for key in shapes))


def _group_by_role(shapes: Mapping[str, Shape]) -> dict[str, dict[str, Shape]]:
    """Group shapes by role and by tensor name: `weight`, `bias`."""
    groups: dict[str, dict[str, Shape]] = {}
    for key, shape in shapes.items():
        role, name = _split(key)
        groups.setdefault(role, {})[name] = shape
    return groups


def _shapes(state: Mapping[str, NDArray[Any]]) -> dict[str, Shape]:
    return {key: tensor.shape for key, tensor in state.items()}
