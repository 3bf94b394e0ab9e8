import re

import pytest
import torch
from dvc_project import ROOT
from safetensors import safe_open
from safetensors.torch import save_file
from tensors import draw_he_weights, load_weights

from deepen.core.errors import InputError
from deepen.models.networks import load_network
from deepen.models.weights import ModelCard, read_weights_checksum, save_weights

CARD = ModelCard(
    model="I",
    layers="conv3-8 maxpool fc-16",
    width=0.5,
    image=(3, 8, 8),
    classes=("cat", "dog"),
    mean=(0.5, 0.4, 0.3),
    flip=True,
)
STATE = draw_he_weights(CARD.plan(), seed=0, model="I")


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_file_alone_is_enough_to_use_the_network(tmp_path, norm):
    written = CARD.model_copy(update={"norm": norm})
    state = draw_he_weights(written.plan(), seed=0, model="I")
    save_weights(tmp_path / "new" / "I.safetensors", state, written)
    card, net = load_network(tmp_path / "new" / "I.safetensors")
    assert card == written
    assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    assert ("norm1_1.running_var" in net.state_dict()) == (norm == "batch")
    assert all(torch.equal(tensor, state[key]) for key, tensor in net.state_dict().items())


def test_equal_weights_are_equal_files(tmp_path):
    save_weights(tmp_path / "a", STATE, CARD)
    save_weights(tmp_path / "b", {key: STATE[key].clone() for key in reversed(STATE)}, CARD)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_weights_file_has_a_view_only_for_larger_images(tmp_path):
    stored = CARD.model_copy(update={"stored": (10, 12)})
    save_weights(tmp_path / "x", STATE, stored)
    assert load_weights(tmp_path / "x")[0] == stored
    assert (CARD.prepared, stored.prepared) == ((3, 8, 8), (3, 10, 12))
    save_weights(tmp_path / "y", STATE, CARD)
    assert b"stored" not in (tmp_path / "y").read_bytes()


def test_a_file_that_is_not_safetensors_is_an_error(tmp_path):
    for content, fault in (
        (b"", "invalid safetensors file (it is empty or cut off)"),
        (b"x" * 100, "not a safetensors file"),
        ((ROOT / "params.yaml").read_bytes(), "not a safetensors file"),
    ):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(InputError, match=rf"x: {re.escape(fault)}; name another file, or write it again"):
            load_weights(tmp_path / "x")
    for name, reason in (("missing", "No such file or directory"), ("", "Is a directory")):
        with pytest.raises(InputError, match=rf"not a weights file \({reason}\); name one, for example weights/III"):
            load_weights(tmp_path / name)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"deepen": "{}"},
        {"deepen": CARD.model_copy(update={"version": 1}).model_dump_json()},
        {"deepen": CARD.model_copy(update={"version": 3}).model_dump_json()},
        {"deepen": CARD.model_copy(update={"layers": "conv3-"}).model_dump_json()},
        {"deepen": CARD.model_copy(update={"width": 0.001}).model_dump_json()},
        {"deepen": CARD.model_copy(update={"stored": (8, 7)}).model_dump_json()},
        {"deepen": CARD.model_copy(update={"stored": (8,)}).model_dump_json(warnings=False)},
    ],
)
def test_invalid_metadata_of_a_network_is_an_error(tmp_path, metadata):
    save_file(STATE, tmp_path / "x", metadata=metadata)
    with pytest.raises(InputError, match="x: invalid metadata of a network"):
        load_weights(tmp_path / "x")


def test_a_small_file_can_t_ask_for_gigabytes(tmp_path):
    """At the bound of what an image may take it is taken, and above not, whatever its layers are."""
    card = CARD.model_copy(update={"layers": "conv1-1" + " maxpool" * 13, "width": 1.0, "image": (1, 1 << 13, 1 << 14), "mean": (0.5,)})  # fmt: skip
    save_weights(tmp_path / "x", draw_he_weights(card.plan(), seed=0, model="I"), card)
    assert (tmp_path / "x").stat().st_size < 1000
    assert load_network(tmp_path / "x")[0].image == (1, 1 << 13, 1 << 14)
    for change in ({"image": (1, (1 << 13) + 1, 1 << 14)}, {"layers": card.layers.replace("1-1", "1-2")},
                   {"stored": (1 << 14, 1 << 14)}):  # fmt: skip
        larger = card.model_copy(update=change)
        save_weights(tmp_path / "y", load_weights(tmp_path / "x")[1], larger)
        with pytest.raises(
            InputError, match=r"y: invalid metadata .* values for one image in .*, more than 134,217,728;"
        ):
            load_weights(tmp_path / "y")


def test_tensors_that_don_t_fit_the_metadata_are_an_error(tmp_path):
    state = {key: tensor for key, tensor in STATE.items() if key != "fc1.bias"} | {"extra": torch.zeros(1)}
    save_weights(tmp_path / "x", state, CARD)
    with pytest.raises(InputError) as error:
        load_weights(tmp_path / "x")
    remedy = "name another file, or write it again (dvc repro writes the outputs of stages)"
    assert error.value.faults == (
        f"{tmp_path}/x: tensor fc1.bias is missing; {remedy}",
        f"{tmp_path}/x: unexpected tensor extra; {remedy}",
    )


@pytest.mark.parametrize(
    ("dtype", "fault"),
    [
        (torch.float64, "tensor fc1.bias has dtype float64, expected float32"),
        # as it is told once something has given NumPy the type
        (
            torch.bfloat16,
            "(has tensors of an unsupported dtype, expected float32|tensor fc1.bias is bfloat16|checksum mismatch)",
        ),
    ],
)
def test_tensors_of_another_dtype_are_an_error(tmp_path, dtype, fault):
    save_weights(tmp_path / "x", STATE, CARD)
    with safe_open(tmp_path / "x", framework="pt") as file:
        metadata = file.metadata()
    state = {**STATE, "fc1.bias": STATE["fc1.bias"].to(dtype)}
    if dtype == torch.float64:
        save_weights(tmp_path / "x", state, CARD)
    else:
        save_file(state, tmp_path / "x", metadata=metadata)
    with pytest.raises(InputError, match=f"x: {fault}"):
        load_weights(tmp_path / "x")


def test_checksums_are_those_of_files_that_were_written_before(tmp_path):
    written = save_weights(tmp_path / "x", {key: torch.ones_like(tensor) for key, tensor in STATE.items()}, CARD)
    assert (
        written
        == read_weights_checksum(tmp_path / "x")
        == "d4e2c2db27aaa9fa4939ece967c7058c4654ab54079886375fbdbcf83767cc59"
    )


@pytest.mark.parametrize(("more", "taken"), [(0, True), (8, False)])
def test_a_header_of_16_mib_is_the_longest(tmp_path, more, taken):
    save_weights(tmp_path / "x", STATE, CARD)
    whole = (tmp_path / "x").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    longer = whole[8 : 8 + length].ljust((1 << 24) + more)
    (tmp_path / "x").write_bytes(len(longer).to_bytes(8, "little") + longer + whole[8 + length :])
    if taken:
        assert load_weights(tmp_path / "x")[0] == CARD
    else:
        with pytest.raises(InputError, match="x: not a safetensors file; "):
            load_weights(tmp_path / "x")
