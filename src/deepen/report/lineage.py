"""The models of a ladder for the page: as a tree, and with the origin of each layer, a row per role."""

from collections.abc import Sequence
from dataclasses import dataclass

from deepen.models.layers import Layer, count_parameters
from deepen.models.notation import count_weight_layers
from deepen.records.ladder import LadderResults, MissingModel, draw_models
from deepen.records.record import Record
from deepen.records.transfer_report import TransferKind


@dataclass(frozen=True)
class Block:
    """A layer of a model, with its size and its origin in words; `kind` is None for a pooling layer."""

    kind: TransferKind | None
    words: str
    size: str
    parameters: int


@dataclass(frozen=True)
class Row:
    """The blocks of a role in each model: none, one, or two if a layer was dropped and replaced."""

    role: str
    cells: tuple[tuple[Block, ...], ...]


def describe_tree(results: LadderResults) -> list[tuple[str, str, str]]:
    """Return a row per model in the order of the tree: the lines before it, its name and its accuracy, in words.

    Empty if the ladder has no branches.
    """
    models = draw_models(results.records, results.missing)
    if not any(lines for lines, _ in models):
        return []
    return [(lines, each.model, _describe_model(each)) for lines, each in models]


def _describe_model(model: Record | MissingModel) -> str:
    if isinstance(model, MissingModel):
        return model.state
    return f"{count_weight_layers(model.layers)} weight layers, top-1 {model.metrics['top1']:.2f} %"


def trace_lineage(records: Sequence[Record]) -> list[Row]:
    """Return the rows of a ladder, from input to output; `records` have every ancestor of each model."""
    by_name = {record.model: record for record in records}
    blocks = [_list_blocks(record, by_name.get(record.after)) for record in records]
    return [Row(role, tuple(tuple(by_role.get(role, [])) for by_role in blocks)) for role in _list_roles(records)]


def _list_roles(records: Sequence[Record]) -> list[str]:
    """Return the roles of the deepest model in order; roles of other models follow the role before them there."""
    roles: list[str] = []
    for record in sorted(records, key=lambda record: count_weight_layers(record.layers), reverse=True):
        place = 0
        for layer in record.plan():
            if layer.role not in roles:
                roles.insert(place, layer.role)
            place = roles.index(layer.role) + 1
    return roles


def _list_blocks(record: Record, before: Record | None) -> dict[str, list[Block]]:
    """Return the blocks of a model by role; a dropped layer is listed under its role in the model before."""
    blocks: dict[str, list[Block]] = {}
    transfers = {transfer.target.rpartition(".")[0]: transfer for transfer in record.tensors if transfer.target}
    for layer in record.plan():
        if layer.kind == "maxpool":
            block = _make_block(None, "maxpool" + str(layer.kernel) * (layer.kernel != 2), layer)
        elif (transfer := transfers[layer.role]).kind == "copied":
            origin = (transfer.source or "").rpartition(".")[0]
            block = _make_block("copied", f"from {record.after}" + (f", {origin}" * (origin != layer.role)), layer)
        else:
            block = _make_block("fresh", transfer.start or "", layer)
        blocks[layer.role] = [block]
    dropped = {
        transfer.source.rpartition(".")[0]
        for transfer in record.tensors
        if transfer.kind == "dropped" and transfer.source
    }
    for layer in before.plan() if before else ():
        if layer.role in dropped:
            blocks.setdefault(layer.role, []).append(_make_block("dropped", f"of {record.after}", layer))
    return blocks


def _make_block(kind: TransferKind | None, words: str, layer: Layer) -> Block:
    return Block(kind, words, _format_size(layer), count_parameters([layer]))


def _format_size(layer: Layer) -> str:
    """Format the size of a layer, for example 3x3, 128 to 256 for a convolution, with a multiplication sign."""
    if layer.kind == "conv":
        return f"{layer.kernel}\u00d7{layer.kernel}, {layer.inputs[0]} to {layer.outputs[0]}"
    if layer.kind == "maxpool":
        return f"to {layer.outputs[1]}\u00d7{layer.outputs[2]}"
    if layer.kind == "norm":
        return f"{layer.outputs[0]} channels"
    weight = layer.tensors()[f"{layer.role}.weight"]
    return f"{weight[1]} to {weight[0]}"
