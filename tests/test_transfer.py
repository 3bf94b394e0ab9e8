import json

import numpy as np
import pytest
import torch
from conftest import LADDER

from deepen.core.errors import InputError
from deepen.growth.initialization import draw_he_weights, grow
from deepen.growth.transfer import RoleMapping, find_violations, map_roles, transfer
from deepen.models.layers import list_tensor_shapes, plan
from deepen.models.vgg import build_network
from deepen.records.transfer_report import (
    TensorTransfer,
    TransferReport,
    count_by_kind,
    format_report,
    load_transfer,
    save_transfer,
)


def layout(name, width=1 / 32):
    return plan(LADDER[name], width=width, image=(3, 16, 16), classes=4)


def trained(layers, seed=0):
    """A state unlike any start: all entries random, also the biases."""
    draws = np.random.default_rng(seed)
    return {key: draws.normal(0, 0.2, shape).astype(np.float32) for key, shape in list_tensor_shapes(layers).items()}


def shapes(**roles):
    return {f"{role}.weight": shape for role, shape in roles.items()}


def logits(layers, state):
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return build_network(layers, state).eval()(images)


PAIRS = [("I", "II"), ("II", "III"), ("I", "III")]


@pytest.mark.parametrize(("shallow", "deep"), PAIRS)
def test_each_role_of_the_ladder_is_copied_to_itself(shallow, deep):
    source, target = layout(shallow), layout(deep)
    mapping = map_roles(list_tensor_shapes(source), list_tensor_shapes(target))
    roles = [layer.role for layer in source if layer.kind != "maxpool"]
    assert mapping.copied == {role: role for role in roles}
    assert mapping.dropped == ()
    assert set(mapping.fresh) == {layer.role for layer in target if layer.kind != "maxpool"} - set(roles)
    assert find_violations(list_tensor_shapes(source), list_tensor_shapes(target), mapping) == []


@pytest.mark.parametrize(("shallow", "deep"), PAIRS)
def test_copies_are_equal_and_nothing_is_shared_or_touched(shallow, deep):
    source, target = trained(layout(shallow)), trained(layout(deep), seed=1)
    mapping = map_roles(list_tensor_shapes(layout(shallow)), list_tensor_shapes(layout(deep)))
    state, _ = transfer(source, target, mapping)
    assert list(state) == list(target)
    for key, tensor in state.items():
        assert np.array_equal(tensor, source[key] if key in source else target[key])
        assert not any(np.shares_memory(tensor, other) for other in (*source.values(), *target.values()))


@pytest.mark.parametrize("width", [1 / 32, 1])
@pytest.mark.parametrize(("shallow", "deep"), PAIRS)
def test_identity_growth_computes_what_the_shallow_network_did(shallow, deep, width):
    shallow_layers, layers = layout(shallow, width), layout(deep, width)
    source = draw_he_weights(shallow_layers, seed=0, model=shallow)
    for key, tensor in source.items():
        if key.endswith("bias"):
            tensor[:] = np.random.default_rng(len(key)).uniform(-0.1, 0.1, tensor.shape)
    mapping = map_roles(list_tensor_shapes(shallow_layers), list_tensor_shapes(layers))
    state, _ = transfer(source, draw_he_weights(layers, seed=0, model=deep), mapping)
    grown, starts = grow(state, layers, mapping.fresh, "identity")
    assert set(starts.values()) == {"identity"}
    found, expected = logits(layers, grown), logits(shallow_layers, source)
    assert expected.std() > 0.1  # so that a difference would show
    assert (found - expected).abs().max() < 1e-5
    assert (logits(layers, state) - expected).abs().max() > 1e-2  # as it does for random growth


def test_two_equal_shaped_layers_that_are_swapped_change_what_the_network_computes():
    layers = plan("conv3-8*2 fc-16", width=1, image=(8, 4, 4), classes=2)
    shapes, state = list_tensor_shapes(layers), trained(layers)
    crossed = map_roles(shapes, shapes, copied={"conv1_1": "conv1_2", "conv1_2": "conv1_1"})
    moved, _ = transfer(state, trained(layers, seed=1), crossed)
    images = torch.randn(4, 8, 4, 4)
    assert np.array_equal(moved["conv1_1.weight"], state["conv1_2.weight"])
    assert (
        build_network(layers, moved).eval()(images) - build_network(layers, state).eval()(images)
    ).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("source", "target", "mapping", "fault"),
    [
        ("a b", "a", {"a": "a"}, "source layer b is neither copied nor dropped; map it or list it under dropped"),
        ("a", "a b", {"a": "a"}, "target layer b is neither copied nor fresh; map it or list it under fresh"),
        ("a", "a", {"a": "a", "z": "a"}, "mapping: z: a: unknown target layer; use one of a"),
        ("a", "a", {"a": "z"}, "mapping: a: z: unknown source layer; use one of a"),
        ("a", "a b", {"a": "a", "b": "a"}, "source layer a is named 2 times; name it once"),
    ],
)
def test_a_mapping_that_is_not_total_is_an_error(source, target, mapping, fault):
    def of(text):
        return shapes(**dict.fromkeys(text.split(), (2, 2)))

    assert fault in find_violations(of(source), of(target), RoleMapping(mapping))


def test_exceptions_that_match_nothing_or_twice_are_errors():
    both = shapes(a=(2, 2))
    assert find_violations(both, both, RoleMapping({"a": "a"}, fresh=("z",))) == [
        "fresh: unknown target layer z; remove it"
    ]
    assert find_violations(both, both, RoleMapping({"a": "a"}, dropped=("z",))) == [
        "dropped: unknown source layer z; remove it"
    ]
    assert "target layer a is named 2 times; name it once" in find_violations(
        both, both, RoleMapping({"a": "a"}, fresh=("a",))
    )


def test_shapes_and_kinds_must_agree():
    found = find_violations(shapes(a=(2, 2)), shapes(a=(2, 3)), RoleMapping({"a": "a"}))
    assert found == [
        "a.weight has shape (2, 3), but a.weight of the source has (2, 2); "
        "give both layers the same shape, or list a under fresh and a under dropped"
    ]
    with_bias = {**shapes(a=(2, 2)), "a.bias": (2,)}
    assert find_violations(with_bias, shapes(a=(2, 2)), RoleMapping({"a": "a"})) == [
        "a.bias: missing in the target; map a to an equal layer"
    ]


def test_all_violations_are_one_error_and_data_types_count():
    source = {"a.weight": np.zeros(2, np.float32), "b.weight": np.zeros(2, np.float32)}
    target = {"a.weight": np.zeros(2), "c.weight": np.zeros(3, np.float32)}
    with pytest.raises(InputError) as error:
        transfer(source, target, RoleMapping({"a": "a", "c": "b"}))
    assert len(error.value.faults) == 2
    assert "a.weight is float64, but a.weight of the source is float32; convert one" in error.value.faults


def test_a_key_without_a_dot_is_a_role_of_its_own():
    source = {"scale": np.ones(2), "old": np.ones(3), "shift": np.full(2, 5.0), "a.weight": np.ones(1)}
    target = {"scale": np.zeros(2), "bias": np.zeros(2), "a.weight": np.zeros(1), "new": np.zeros(4)}
    mapping = map_roles(_sizes(source), _sizes(target), copied={"bias": "shift"}, dropped=["old"])
    assert mapping == RoleMapping({"scale": "scale", "a": "a", "bias": "shift"}, fresh=("new",), dropped=("old",))
    state, report = transfer(source, target, mapping)
    assert {key: tensor.tolist() for key, tensor in state.items()} == {
        "scale": [1, 1], "bias": [5, 5], "a.weight": [1], "new": [0] * 4
    }  # fmt: skip
    transfers = {(each.kind, each.source, each.target) for each in report.tensors}
    assert transfers == {
        ("copied", "scale", "scale"), ("copied", "shift", "bias"), ("copied", "a.weight", "a.weight"),
        ("fresh", None, "new"), ("dropped", "old", None),
    }  # fmt: skip
    with pytest.raises(InputError, match=r"^source layer old is neither copied nor dropped; map it or list it under"):
        transfer(source, target, map_roles(_sizes(source), _sizes(target), copied={"bias": "shift"}))
    with pytest.raises(InputError) as error:
        transfer({"scale": np.ones(3), "x": np.ones(1)}, {"scale": np.ones(2), "x.y": np.ones(1)}, RoleMapping({"scale": "scale", "x": "x"}))  # fmt: skip
    assert [fault.partition(";")[0] for fault in error.value.faults] == [
        "scale has shape (2,), but scale of the source has (3,)", "x: missing in the target", "x.y: missing in the source"
    ]  # fmt: skip


def _sizes(state):
    return {key: tensor.shape for key, tensor in state.items()}


def test_overrides_take_the_place_of_equal_names():
    source, target = shapes(a=(1,), b=(1,)), shapes(a=(1,), b=(1,), c=(1,))
    mapping = map_roles(source, target, copied={"c": "b"}, fresh=["b"])
    assert mapping == RoleMapping({"a": "a", "c": "b"}, ("b",), ())
    assert find_violations(source, target, mapping) == []
    mapping = map_roles(source, target, fresh=["a"], dropped=["a"])
    assert mapping == RoleMapping({"b": "b"}, ("a", "c"), ("a",))
    assert find_violations(source, target, mapping) == []


def test_everything_is_fresh_without_a_source():
    target = trained(layout("I"))
    state, report = transfer({}, target, map_roles({}, list_tensor_shapes(layout("I"))))
    assert all(np.array_equal(state[key], target[key]) for key in target)
    assert report.count("fresh") == (10, sum(tensor.size for tensor in target.values()))
    assert report.count("copied") == report.count("dropped") == (0, 0)


def test_the_report_names_every_tensor_of_both_networks():
    source, target = trained(layout("I")), draw_he_weights(layout("II"), seed=0, model="II")
    source["gone.bias"] = np.zeros(5, np.float32)
    mapping = map_roles(
        {k: tuple(v.shape) for k, v in source.items()}, list_tensor_shapes(layout("II")), dropped=["gone"]
    )
    _, report = transfer(source, target, mapping)
    report = report.with_starts(dict.fromkeys(mapping.fresh, "identity"))
    assert {transfer.target for transfer in report.tensors if transfer.target} == set(target)
    assert {transfer.source for transfer in report.tensors if transfer.source} == set(source)
    assert report.count("dropped") == (1, 5)
    assert sum(report.count(kind)[1] for kind in ("copied", "fresh")) == sum(t.size for t in target.values())
    assert count_by_kind(report) == {
        "copied_tensors": 10,
        "copied_parameters": report.count("copied")[1],
        "fresh_tensors": 6,
        "fresh_parameters": report.count("fresh")[1],
        "dropped_tensors": 1,
        "dropped_parameters": 5,
    }
    assert format_report(report) == "10 tensors copied, 6 new (identity), 1 dropped"


def test_the_file_of_a_transfer_has_numbers_on_top_and_comes_back(tmp_path):
    report = TransferReport((TensorTransfer("fresh", None, "head.bias", (10,), "random"),))
    save_transfer(tmp_path / "I.json", report, "a" * 64, None)
    shown = {key: value for key, value in json.loads((tmp_path / "I.json").read_text()).items() if type(value) is int}
    assert shown == count_by_kind(report)
    assert load_transfer(tmp_path / "I.json").tensors == list(report.tensors)
    assert format_report(report) == "1 tensor new (random)"
