"""Frozen layers: the roles in the setting `frozen`, with their batch norms, and the faults of that setting."""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from deepen.core.errors import trim
from deepen.core.nearest import find_nearest
from deepen.models.layers import Layer, list_weight_roles

COPIED = "copied"  # in `frozen`: all copied roles


def resolve_frozen_roles(named: Sequence[str], layers: Sequence[Layer], copied: Collection[str]) -> set[str]:
    """Return the roles to freeze, where `copied` are the roles that come from another network.

    Freezing a convolution freezes its copied norm, which would else change its output. A fresh norm has to learn.
    """
    frozen = set(named) - {COPIED} | (set(copied) if COPIED in named else set())
    return frozen | {norm.role for conv, norm in _pair_norms(layers) if conv.role in frozen and norm.role in copied}


def find_freezing_faults(named: Sequence[str], layers: Sequence[Layer], copied: Collection[str]) -> Iterator[str]:
    """Yield the faults of the roles `named` in `frozen`, one sentence each."""
    known, unknown = list_weight_roles(layers), False
    learning = {layer.role for layer in layers if layer.learns}
    for role in named:
        if role == COPIED:
            if not copied:
                yield "copied: no layer is copied; remove frozen"
        elif role not in known:
            unknown = True
            close = find_nearest(role, known, 0.8)
            remedy = f"did you mean {close}?" if close else f"use {', '.join(known)}"
            yield f"unknown layer '{role}'; {remedy}"
        elif role not in copied and role in learning:
            yield f"{role} is fresh, so it would keep its initial weights; freeze copied layers: {_join_roles(copied)}"
    if named and not unknown and learning <= resolve_frozen_roles(named, layers, copied):
        yield "all layers are frozen, so nothing would train; remove one, for example head"


def _join_roles(roles: Collection[str]) -> str:
    return ", ".join(trim(list(roles), 20)) or "none"


def _pair_norms(layers: Sequence[Layer]) -> Iterator[tuple[Layer, Layer]]:
    """Yield each convolution that has a norm, with its norm."""
    return ((before, layer) for before, layer in pairwise(layers) if layer.kind == "norm")
