from dataclasses import replace

from made_up_ladders import ladder

from deepen.records.transfer_report import TensorTransfer
from deepen.report.lineage import Block, trace_lineage
from deepen.report.page_tables import count_parameters_by_kind


def cells(records):
    return {row.role: row.cells for row in trace_lineage(records)}


def test_the_table_has_a_row_a_role_and_a_cell_a_model():
    records, _ = ladder(2)
    found = cells(records)
    assert list(found) == ["conv1_1", "pool1", "conv2_1", "conv2_2", "pool2", "conv3_1", "conv3_2", "pool3", "fc1", "fc2", "head"]  # fmt: skip
    assert found["conv2_2"][0] == ()
    assert [block.words for (block,) in found["conv2_1"]] == ["random", "from I"]
    assert found["fc2"][1][0] == Block("fresh", "identity", "256 to 256", 256 * 256 + 256)


def test_a_pool_names_its_size_unless_that_is_2():
    (record,), _ = ladder(1)
    larger = record.layers.replace("maxpool conv3-512 maxpool", "maxpool3 conv3-512")
    found = cells([replace(record, layers=larger)])
    assert [found[role][0][0].words for role in ("pool1", "pool2")] == ["maxpool", "maxpool3"]


def test_a_layer_from_another_role_says_so_and_what_was_dropped_stands_beside_what_is_new():
    records, _ = ladder(2)
    tensors = [
        replace(transfer, source=transfer.target.replace("conv2_2", "conv2_1"), kind="copied", start=None)
        if transfer.target.startswith("conv2_2")
        else TensorTransfer("fresh", None, transfer.target, transfer.shape, "random")
        if transfer.target.startswith("head")
        else transfer
        for transfer in records[1].tensors
    ]
    tensors += [TensorTransfer("dropped", f"head.{name}", None, (1,)) for name in ("weight", "bias")]
    found = cells([records[0], replace(records[1], tensors=tensors)])
    assert found["conv2_2"][1][0].words == "from I, conv2_1"
    assert [(block.kind, block.words) for block in found["head"][1]] == [("fresh", "random"), ("dropped", "of I")]


def test_a_layer_that_only_a_shallower_model_has_keeps_its_place():
    (one, two), _ = ladder(2)
    one = replace(one, layers="conv3-128 conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024")
    extra = [TensorTransfer("fresh", None, f"conv1_2.{name}", (1,), "random") for name in ("weight", "bias")]
    gone = [TensorTransfer("dropped", f"conv1_2.{name}", None, (1,)) for name in ("weight", "bias")]
    found = cells([replace(one, tensors=[*one.tensors, *extra]), replace(two, tensors=[*two.tensors, *gone])])
    assert list(found)[:3] == ["conv1_1", "conv1_2", "pool1"]
    assert found["conv1_2"][1][0].kind == "dropped"


def test_parameters_by_kind_add_up_to_those_of_the_model():
    records, _ = ladder(3)
    counts = dict(count_parameters_by_kind(trace_lineage(records)))
    assert list(counts) == ["copied in all", "fresh in all"]
    sums = [sum(column) for column in zip(*counts.values(), strict=True)]
    assert sums == [record.parameters for record in records]
