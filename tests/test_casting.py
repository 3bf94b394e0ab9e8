"""Weights that are cast together give what autocast gives, to the bit."""

import pytest
import torch
from kernels import list_kernels
from tensors import draw_he_weights

from deepen.models.layers import freeze, plan
from deepen.models.vgg import build_network
from deepen.training.casting import CastTogether

ALL = ["conv1_1", "norm1_1", "conv2_1", "norm2_1", "fc1", "head"]


def make_network(norm="batch", frozen=()):
    layers = plan("conv3-8 maxpool conv3-16 maxpool fc-16", width=1, image=(3, 8, 8), classes=3, norm=norm)
    network = build_network(freeze(layers, list(frozen)), draw_he_weights(layers, seed=0, model="I"))
    return network.to(memory_format=torch.channels_last)


def compute(network, forward):
    """The logits and the gradients by name, in bfloat16."""
    images = torch.randn(10, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        logits = forward(images)
        logits.float().square().sum().backward()
    return logits.detach(), {name: parameter.grad for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("frozen", [[], ["conv1_1"]])
def test_logits_and_gradients_are_those_of_autocast(norm, frozen):
    plain, together = make_network(norm, frozen), make_network(norm, frozen)
    expected, gradients = compute(plain, plain)
    logits, found = compute(together, CastTogether(together, torch.bfloat16))
    assert logits.dtype == torch.bfloat16
    assert torch.equal(logits, expected)
    for name, gradient in gradients.items():
        if name.split(".")[0] in frozen:
            assert gradient is found[name] is None
        else:
            assert torch.equal(found[name], gradient)
            assert found[name].dtype == torch.float32
            assert found[name].stride() == together.get_parameter(name).stride()


def test_a_network_of_frozen_layers_computes_too():
    network = make_network(frozen=ALL)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        images = torch.randn(10, 3, 8, 8)
        assert torch.equal(CastTogether(network, torch.bfloat16)(images), network(images))


def test_weights_and_gradients_are_cast_by_one_kernel_each():
    network = make_network("none")
    forward = CastTogether(network, torch.bfloat16)
    kernels = list_kernels(compute, network, forward)
    assert kernels["_foreach_copy_"] == 2
    assert kernels["_to_copy"] == 3, kernels  # the images, and the logits of this test in both directions
    assert list_kernels(compute, network, network)["_to_copy"] == 3 + 16  # 8 weights and biases
