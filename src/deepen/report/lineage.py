"""Where each layer of each model of a ladder came from, as the picture of a ladder shows it: a row a role."""

from collections.abc import Sequence
from dataclasses import dataclass

from deepen.models.layers import Layer, count_parameters
from deepen.records.record import Record
from deepen.records.transfer_report import Fate


@dataclass(frozen=True)
class Block:
    """One layer of one model: how large it is, and in words how it met its `fate`; a pool has none."""

    fate: Fate | None
    words: str
    size: str
    parameters: int


@dataclass(frozen=True)
class Row:
    """What each model, shallowest first, has of one role: no block, one, or two where it dropped and made anew."""

    role: str
    cells: tuple[tuple[Block, ...], ...]


def lineage(records: Sequence[Record]) -> list[Row]:
    """The rows of a ladder, from the image to the classes; `records` are those of a model and of all it grew from."""
    blocks = [_blocks(record, records[i - 1] if i else None) for i, record in enumerate(records)]
    return [Row(role, tuple(tuple(found.get(role, [])) for found in blocks)) for role in _roles(records)]


def _roles(records: Sequence[Record]) -> list[str]:
    """Those of the deepest in its order, and what only others have after what it follows there."""
    roles: list[str] = []
    for record in reversed(records):
        place = 0
        for layer in record.plan():
            if layer.role not in roles:
                roles.insert(place, layer.role)
            place = roles.index(layer.role) + 1
    return roles


def _blocks(record: Record, before: Record | None) -> dict[str, list[Block]]:
    """The blocks of one model by role; what it dropped stands under the role it had there."""
    found: dict[str, list[Block]] = {}
    fates = {fate.target.rpartition(".")[0]: fate for fate in record.tensors if fate.target}
    for layer in record.plan():
        if layer.kind == "maxpool":
            block = _block(None, "maxpool", layer)
        elif (fate := fates[layer.role]).fate == "copied":
            origin = (fate.source or "").rpartition(".")[0]
            block = _block("copied", f"from {record.after}" + (f", {origin}" * (origin != layer.role)), layer)
        else:
            block = _block("fresh", fate.start or "", layer)
        found[layer.role] = [block]
    dropped = {fate.source.rpartition(".")[0] for fate in record.tensors if fate.fate == "dropped" and fate.source}
    for layer in before.plan() if before else ():
        if layer.role in dropped:
            found.setdefault(layer.role, []).append(_block("dropped", f"of {record.after}", layer))
    return found


def _block(fate: Fate | None, words: str, layer: Layer) -> Block:
    return Block(fate, words, _size(layer), count_parameters([layer]))


def _size(layer: Layer) -> str:
    """For example `3x3, 128 to 256` for a convolution, with the sign for times."""
    if layer.kind == "conv":
        return f"{layer.kernel}\u00d7{layer.kernel}, {layer.inputs[0]} to {layer.outputs[0]}"
    if layer.kind == "maxpool":
        return f"to {layer.outputs[1]}\u00d7{layer.outputs[2]}"
    if layer.kind == "norm":
        return f"{layer.outputs[0]} channels"
    weight = layer.tensors()[f"{layer.role}.weight"]
    return f"{weight[1]} to {weight[0]}"
