import math

import numpy as np
import pytest
import torch
from conftest import LADDER

from deepen.core.errors import InputError
from deepen.growth.initialization import _relu_moments, draw_he_weights, grow
from deepen.growth.transfer import map_roles, transfer
from deepen.models.layers import list_tensor_shapes, plan
from deepen.models.tensors import to_arrays
from deepen.models.vgg import build_network

LAYERS = plan(LADDER["III"], width=1 / 16, image=(3, 8, 8), classes=4)
FRESH = ["conv2_2", "conv3_2", "conv3_3", "fc2"]


def test_drawn_weights_have_he_s_variance_by_fan_in_and_zero_biases():
    state = draw_he_weights(plan("conv3-256*2 fc-512", width=1, image=(3, 8, 8), classes=10), seed=0, model="I")
    for key, tensor in state.items():
        if key.endswith("bias"):
            assert not tensor.any()
        else:
            expected = math.sqrt(2 / tensor[0].size)
            assert tensor.std() == pytest.approx(expected, rel=0.05)
            assert abs(tensor.mean()) < expected / 10


def test_a_start_is_a_function_of_seed_model_and_role_alone():
    shallow = plan(LADDER["I"], width=1 / 16, image=(3, 8, 8), classes=4)
    base = draw_he_weights(LAYERS, seed=0, model="III")
    for key, tensor in draw_he_weights(shallow, seed=0, model="III").items():
        assert np.array_equal(tensor, base[key])
    for other in (draw_he_weights(LAYERS, seed=1, model="III"), draw_he_weights(LAYERS, seed=0, model="II")):
        assert not np.array_equal(other["conv3_2.weight"], base["conv3_2.weight"])
    assert not np.array_equal(base["conv3_2.weight"], base["conv3_3.weight"])


class TestNorms:
    shallow = plan("conv3-8 maxpool conv3-16 fc-32", width=1, image=(3, 8, 8), classes=4, norm="batch")
    deep = plan("conv3-8*2 maxpool conv3-16*3 fc-32*2", width=1, image=(3, 8, 8), classes=4, norm="batch")

    def trained(self):
        """A network whose norms have seen something."""
        torch.manual_seed(0)
        net = build_network(self.shallow, draw_he_weights(self.shallow, seed=0, model="I")).train()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for _ in range(30):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(torch.randn(64, 3, 8, 8)), torch.randint(4, (64,))).backward()
            optimizer.step()
        return net

    def grown(self, net, growth="identity"):
        fresh = draw_he_weights(self.deep, seed=0, model="II")
        mapping = map_roles(list_tensor_shapes(self.shallow), list_tensor_shapes(self.deep))
        state, _ = transfer(to_arrays(net.state_dict()), fresh, mapping)
        state, starts = grow(state, self.deep, mapping.fresh, growth)
        return build_network(self.deep, state), starts

    def test_statistics_move_with_the_weights_and_identity_is_exact(self):
        net = self.trained()
        deep, starts = self.grown(net)
        assert {role for role in starts if role.startswith("norm")} == {"norm1_2", "norm2_2", "norm2_3"}
        assert torch.equal(deep.state_dict()["norm1_1.running_var"], net.state_dict()["norm1_1.running_var"])
        assert not torch.allclose(net.state_dict()["norm1_1.running_mean"], torch.zeros(8), atol=1e-3)
        images = torch.randn(200, 3, 8, 8)
        assert torch.allclose(deep.eval()(images), net.eval()(images), atol=1e-5)

    def test_a_network_grown_by_identity_is_nearly_the_same_in_training(self):
        net = self.trained()
        deep, _ = self.grown(net)
        images = torch.randn(500, 3, 8, 8)
        before, after = net.train()(images), deep.train()(images)
        assert torch.nn.functional.mse_loss(after, before) < 0.05 * before.var()

    def test_copy_takes_the_norm_before_with_its_statistics(self):
        deep, starts = self.grown(self.trained(), "copy")
        assert starts["norm2_2"] == "copy of norm2_1"
        assert torch.equal(deep.state_dict()["norm2_3.running_var"], deep.state_dict()["norm2_1.running_var"])

    def test_random_growth_starts_norms_at_one_and_zero(self):
        state = draw_he_weights(self.deep, seed=0, model="II")
        assert np.array_equal(state["norm2_3.weight"], np.ones(16))
        assert np.array_equal(state["norm2_3.running_var"], np.ones(16))
        assert not state["norm2_3.running_mean"].any()


def test_random_leaves_the_state_as_it_is():
    state = draw_he_weights(LAYERS, seed=0, model="III")
    grown, starts = grow(state, LAYERS, FRESH, "random")
    assert starts == dict.fromkeys(FRESH, "random")
    assert all(np.array_equal(grown[key], state[key]) for key in state)


def test_copy_takes_the_layer_before_where_shapes_agree(rng):
    state = {key: rng.standard_normal(shape, np.float32) for key, shape in list_tensor_shapes(LAYERS).items()}
    grown, starts = grow(state, LAYERS, FRESH, "copy")
    assert starts == {"conv2_2": "random", "conv3_2": "random", "conv3_3": "copy of conv3_2", "fc2": "random"}
    assert np.array_equal(grown["conv3_3.weight"], state["conv3_2.weight"])
    assert np.array_equal(grown["conv3_3.bias"], state["conv3_2.bias"])
    assert not np.shares_memory(grown["conv3_3.bias"], grown["conv3_2.bias"])
    assert np.array_equal(grown["conv2_2.weight"], state["conv2_2.weight"])


def test_identity_passes_positive_input_on_and_leaves_the_rest():
    state = draw_he_weights(LAYERS, seed=0, model="III")
    grown, starts = grow(state, LAYERS, [*FRESH, "head"], "identity")
    assert starts == {**dict.fromkeys(FRESH, "identity"), "head": "random"}
    images = torch.rand(2, 16, 4, 4)
    convolved = torch.conv2d(
        images, *(torch.from_numpy(grown[f"conv2_2.{name}"]) for name in ("weight", "bias")), padding=1
    )
    assert torch.equal(convolved, images)
    assert np.array_equal(grown["fc2.weight"], np.eye(64))
    assert np.array_equal(grown["head.weight"], state["head.weight"])
    assert np.array_equal(state["fc2.weight"], draw_he_weights(LAYERS, seed=0, model="III")["fc2.weight"])


def test_identity_is_refused_where_it_can_t_be():
    with pytest.raises(InputError, match="conv2_1 has 8 inputs and 16 outputs, growth: identity needs equal numbers"):
        grow(draw_he_weights(LAYERS, seed=0, model="III"), LAYERS, ["conv2_1"], "identity")


def test_moments_of_rectified_normal_numbers_are_those_of_a_million_of_them(rng):
    bias, weight = np.array([-1.5, 0.0, 0.7, 3.0], np.float32), np.array([1.0, -2.0, 0.5, 1.0], np.float32)
    numbers = np.maximum(bias + np.abs(weight) * rng.standard_normal((1_000_000, 4)), 0)
    mean, variance = _relu_moments(bias, weight)
    np.testing.assert_allclose(mean, numbers.mean(0), rtol=0.01, atol=0.002)
    np.testing.assert_allclose(variance, numbers.var(0), rtol=0.01, atol=0.002)
