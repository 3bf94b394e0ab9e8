"""The conditions under which a deeper network can start as the function that a shallower one computes."""

from collections.abc import Sequence
from math import prod

from deepen.models.layers import Layer


def find_identity_faults(layers: Sequence[Layer], fresh: Sequence[str]) -> list[str]:
    """Return the faults of fresh layers that can't start as the identity, one sentence each.

    The identity needs equal numbers of inputs and outputs, and inputs that are never negative, as after a ReLU: the
    layer's own ReLU would set negative ones to zero.
    """
    chain = [layer for layer in layers if layer.kind not in ("maxpool", "norm")]
    faults = []
    for i, layer in enumerate(chain):
        if layer.role not in fresh or layer.kind == "head":
            continue
        inputs, outputs = (shape[0] if layer.kind == "conv" else prod(shape) for shape in (layer.inputs, layer.outputs))
        if i == 0:
            faults.append(f"{layer.role} is the first layer, growth: identity needs a ReLU before; use growth: random")
        elif inputs != outputs:
            faults.append(
                f"{layer.role} has {inputs} inputs and {outputs} outputs, growth: identity needs equal numbers; "
                "make them equal, or use growth: random"
            )
        elif layer.kernel % 2 == 0:
            faults.append(
                f"{layer.role} has an even kernel, which makes height and width smaller, growth: identity needs an odd "
                "one; make it odd, or use growth: random"
            )
    return faults


def find_pool_faults(source: Sequence[Layer], target: Sequence[Layer]) -> list[str]:
    """Return a fault for each pool of another size than in the source: shapes of tensors can be equal all the same."""
    pools = ([layer for layer in layers if layer.kind == "maxpool"] for layers in (source, target))
    return [
        f"{ours.role} takes {ours.kernel}x{ours.kernel} pixels here and {theirs.kernel}x{theirs.kernel} there, "
        "growth: identity needs equal pools; make them equal, or use growth: random"
        for theirs, ours in zip(*pools, strict=False)
        if theirs.kernel != ours.kernel
    ]
