"""Frozen layers: their tensors stay byte for byte, and what they cost is what they cost."""

import pytest
import torch
from tensors import draw_he_weights
from test_settings import changed
from test_training import recipe, trainer_for

from deepen.config.recipes import SgdSettings
from deepen.config.settings import check_settings
from deepen.core.errors import InputError
from deepen.growth.capacity import estimate_training_bytes
from deepen.growth.ladder import plan_ladder
from deepen.models.freezing import resolve_frozen_roles
from deepen.models.layers import count_parameters, count_training_flops, freeze, plan
from deepen.models.networks import load_network
from deepen.models.vgg import build_network
from deepen.models.weights import ModelCard, save_weights
from deepen.training.loop import train

LAYERS = plan("conv3-8*2 maxpool fc-16*2", width=1, image=(3, 8, 8), classes=3, norm="batch")
FROZEN = ("conv1_1", "norm1_1", "fc1")
SGD = SgdSettings(name="sgd", momentum=0.9, nesterov=True, weight_decay=0.1)


@pytest.mark.parametrize("optimizer", [{}, {"optimizer": SGD}])
def test_frozen_tensors_stay_byte_for_byte_and_all_others_move(colored, optimizer):
    layers = freeze(LAYERS, FROZEN)
    before = draw_he_weights(layers, seed=0, model="I")
    trainer = trainer_for(
        colored, recipe(dropout=0.3, **optimizer), layers=layers, state={key: t.clone() for key, t in before.items()}
    )
    train(trainer, colored)
    after = trainer.network.state_dict()
    same = {key.split(".")[0] for key in before if torch.equal(before[key], after[key])}
    assert same == set(FROZEN)
    kept = {key.split(".")[1] for key in trainer.get_state() if key.startswith("momentum.")}
    assert kept == {layer.role for layer in layers if layer.learns}


def test_a_frozen_norm_normalizes_by_what_it_has_seen():
    state = {key: tensor + 0.3 for key, tensor in draw_he_weights(LAYERS, seed=0, model="I").items()}
    images = torch.randn(10, 3, 8, 8)
    for roles, alike in ((["norm1_1", "norm1_2"], True), (["norm1_1"], False)):
        net = build_network(freeze(LAYERS, roles), {key: tensor.clone() for key, tensor in state.items()})
        assert torch.equal(net.train()(images), net.eval()(images)) == alike


def test_freezing_a_convolution_freezes_its_norm_unless_that_is_fresh():
    assert resolve_frozen_roles(["conv1_1"], LAYERS, {"conv1_1", "norm1_1"}) == {"conv1_1", "norm1_1"}
    assert resolve_frozen_roles(["conv1_1"], LAYERS, {"conv1_1"}) == {"conv1_1"}
    assert resolve_frozen_roles(["copied"], LAYERS, {"conv1_1", "norm1_1", "fc1"}) == {"conv1_1", "norm1_1", "fc1"}
    assert resolve_frozen_roles([], LAYERS, {"conv1_1"}) == set()


def test_a_step_on_frozen_layers_takes_less_memory():
    layers = plan("conv3-8 maxpool fc-4", width=1, image=(3, 4, 4), classes=2)
    frozen = freeze(layers, ["conv1_1"])
    assert estimate_training_bytes(frozen, 10) == 4 * count_parameters(layers) + 8 * count_parameters(
        layers[2:]
    ) + 2 * 10 * (4 + 2)


def test_a_start_says_what_is_frozen_and_a_network_that_was_trained_does_not(tmp_path):
    card = ModelCard(model="I", layers="conv3-8 fc-16", width=1, image=(3, 8, 8), classes=("a", "b"), mean=(0.5,) * 3, flip=True)  # fmt: skip
    state = draw_he_weights(card.plan(), seed=0, model="I")
    for frozen, roles in ((None, set()), (("conv1_1",), {"conv1_1"})):
        save_weights(tmp_path / "x", state, card.model_copy(update={"frozen": frozen}))
        _, net = load_network(tmp_path / "x")
        assert {key.split(".")[0] for key, each in net.named_parameters() if not each.requires_grad} == roles
    save_weights(tmp_path / "x", state, card.model_copy(update={"frozen": ("pool1",)}))
    with pytest.raises(InputError, match="frozen: unknown layer 'pool1'; use conv1_1, fc1, head"):
        load_network(tmp_path / "x")


class TestOfALadder:
    def plans(self, starts=None, **changes):
        return plan_ladder(check_settings(changed(**changes)), (3, 32, 32), 10, starts)

    def frozen(self, name, **changes):
        return [layer.role for layer in self.plans(**changes)[name] if layer.frozen]

    def told(self, starts=None, **changes):
        with pytest.raises(InputError) as error:
            self.plans(starts, **changes)
        return list(error.value.faults)

    def test_nothing_is_frozen_by_default(self):
        assert self.frozen("III") == []

    @pytest.mark.parametrize("said", ["copied", ["copied"]])
    def test_frozen_copied_freezes_all_copied_layers(self, said):
        assert self.frozen("II", models__II__frozen=said) == ["conv1_1", "conv2_1", "conv3_1", "fc1", "head"]

    def test_layers_are_frozen_by_their_roles(self):
        norms = {f"models__{name}__norm": "batch" for name in ("I", "II", "III")}
        assert self.frozen("II", models__II__frozen=["conv2_1"], **norms) == ["conv2_1", "norm2_1"]

    def test_frozen_layers_make_training_cheaper(self):
        least, most = (count_training_flops(self.plans(models__II__frozen=said)["II"]) for said in ("copied", []))
        assert least < most

    def test_freezing_an_unknown_layer_is_an_error(self):
        assert self.told(models__II__frozen=["conv2_3", "pool1", "x"]) == [
            "params.yaml: models.II.frozen: unknown layer 'conv2_3'; did you mean conv2_2?",
            "params.yaml: models.II.frozen: unknown layer 'pool1'; use conv1_1, conv2_1, conv2_2, conv3_1, "
            "conv3_2, fc1, fc2, head",
            "params.yaml: models.II.frozen: unknown layer 'x'; use conv1_1, conv2_1, conv2_2, conv3_1, "
            "conv3_2, fc1, fc2, head",
        ]

    def test_a_fresh_layer_that_is_frozen_is_an_error(self):
        assert self.told(models__II__frozen=["fc1", "fc2"]) == [
            "params.yaml: models.II.frozen: fc2 is fresh, so it would keep its initial weights; freeze copied layers: "
            "conv1_1, conv2_1, conv3_1, fc1, head"
        ]

    def test_frozen_copied_where_nothing_is_copied_is_an_error(self):
        roles = ["conv1_1", "conv2_1", "conv3_1", "fc1", "head"]
        changes = {"models__II__fresh": roles, "models__II__dropped": roles, "growth": "random"}
        assert self.told(models__II__frozen="copied", **changes) == [
            "params.yaml: models.II.frozen: copied: no layer is copied; remove frozen"
        ]

    def test_a_name_unlike_any_layer_has_no_suggestion(self):
        [fault] = self.told(models__II__frozen=["conv9_9"])
        assert fault.endswith("unknown layer 'conv9_9'; use conv1_1, conv2_1, conv2_2, conv3_1, conv3_2, fc1, fc2, head")  # fmt: skip

    def test_freezing_all_layers_of_a_ladder_is_an_error(self):
        layers = "conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024"
        shapes = {
            key: tuple(each.shape)
            for key, each in draw_he_weights(self.plans(width=1.0)["I"], seed=0, model="I").items()
        }
        changes = {"models__I__layers": layers, "models__I__start": "imports/x-0a1b2c3d.safetensors", "width": 1.0}
        assert self.told({"I": shapes}, models__I__frozen="copied", **changes) == [
            "params.yaml: models.I.frozen: all layers are frozen, so nothing would train; remove one, for example head"
        ]
        assert self.plans({"I": shapes}, models__I__frozen=["conv1_1"], **changes)
