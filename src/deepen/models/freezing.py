"""Which layers of a model keep their weights: those that `frozen` names, and their norms."""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from deepen.core.errors import some
from deepen.core.nearest import nearest
from deepen.models.layers import Layer, weight_roles

COPIED = "copied"  # stands for all roles that are copied


def frozen_roles(named: Sequence[str], layers: Sequence[Layer], copied: Collection[str]) -> set[str]:
    """The roles that `named` means, of which `copied` come from another network.

    With a convolution goes its norm, which else would change what the convolution gives; a fresh norm has yet to learn.
    """
    found = set(named) - {COPIED} | (set(copied) if COPIED in named else set())
    return found | {norm.role for conv, norm in _norms(layers) if conv.role in found and norm.role in copied}


def freezing_faults(named: Sequence[str], layers: Sequence[Layer], copied: Collection[str]) -> Iterator[str]:
    """What is wrong with the roles `named` as frozen: one sentence each."""
    known, unknown = weight_roles(layers), False
    for role in named:
        if role == COPIED:
            if not copied:
                yield "copied: no layer is copied; remove frozen"
        elif role not in known:
            unknown = True
            close = nearest(role, known, 0.8)
            remedy = f"did you mean {close}?" if close else f"name some of {', '.join(known)}"
            yield f"'{role}' is an unknown layer; {remedy}"
        elif role not in copied:
            yield f"{role} is fresh and would stay as it starts; freeze layers that are copied: {_listed(copied)}"
    if named and not unknown and set(known) <= frozen_roles(named, layers, copied):
        yield "all layers are frozen, so nothing would train; leave one out, for example head"


def _listed(roles: Collection[str]) -> str:
    return ", ".join(some(list(roles), 20)) or "there are none"


def _norms(layers: Sequence[Layer]) -> Iterator[tuple[Layer, Layer]]:
    """Each convolution that has a norm, and that."""
    return ((before, layer) for before, layer in pairwise(layers) if layer.kind == "norm")
