import pytest
import torch
from tensors import draw_he_weights
from test_layers import PAPER
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deepen.models.layers import plan
from deepen.models.vgg import BatchNorm, build_network
from deepen.runtime.group import Group


def torchvision_roles(layers, features):
    """Our role -> the module's number in torchvision's `features` and `classifier`: both in order, both to the last."""
    convolutions = [layer.role for layer in layers if layer.kind == "conv"]
    places = [i for i, module in enumerate(features) if isinstance(module, torch.nn.Conv2d)]
    roles = {role: f"features.{place}" for role, place in zip(convolutions, places, strict=True)}
    return roles | {"fc1": "classifier.0", "fc2": "classifier.3", "head": "classifier.6"}


@pytest.mark.parametrize(("name", "theirs"), [("A", "vgg11"), ("B", "vgg13"), ("D", "vgg16"), ("E", "vgg19")])
def test_torchvision_s_weights_give_torchvision_s_logits(name, theirs):
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    reference = getattr(models, theirs)(num_classes=7, init_weights=False).eval()
    layers = plan(PAPER[name], width=1, image=(3, 224, 224), classes=7)
    source = reference.state_dict()
    ours = {
        f"{role}.{tensor}": source[f"{place}.{tensor}"]
        for role, place in torchvision_roles(layers, reference.features).items()
        for tensor in ("weight", "bias")
    }
    assert len(ours) == len(source)
    images = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(build_network(layers, ours).eval()(images), reference(images), atol=1e-6)


def test_the_network_returns_logits_of_the_right_shape():
    layers = plan("conv3-8 maxpool fc-16", width=1, image=(2, 8, 6), classes=4)
    state = draw_he_weights(layers, seed=0, model="I")
    images = torch.randn(5, 2, 8, 6)
    logits = build_network(layers, state)(images)
    assert logits.shape == (5, 4)
    shifted = build_network(layers, state | {"head.bias": state["head.bias"] - 100})(images)
    assert torch.allclose(shifted, logits - 100, atol=1e-4)  # softmax's outputs could not move so far


@pytest.mark.parametrize(
    "text", ["maxpool conv3-8 fc-8", "conv3-8 maxpool maxpool conv3-4", "conv3-8 conv3-8 maxpool fc-8"]
)
def test_a_pool_before_its_relu_is_the_same_to_the_last_bit_of_every_gradient(text):
    layers = plan(text, width=1, image=(2, 8, 8), classes=3)
    net = build_network(layers, draw_he_weights(layers, seed=0, model="I"))
    images = torch.randn(16, 2, 8, 8)
    x = images
    for layer in layers:
        if layer.kind == "maxpool":
            x = torch.nn.functional.max_pool2d(x, 2)
        elif layer.kind == "conv":
            x = net.get_submodule(layer.role)(x).relu()
        else:
            x = net.get_submodule(layer.role)(x.flatten(1))
            x = x if layer.kind == "head" else x.relu()
    plain = torch.autograd.grad(x.square().sum(), list(net.parameters()))
    logits = net(images)
    assert torch.equal(logits, x)
    for ours, theirs in zip(torch.autograd.grad(logits.square().sum(), list(net.parameters())), plain, strict=True):
        assert torch.equal(ours, theirs)


def test_a_norm_is_torch_s():
    layers = plan("conv3-8 maxpool fc-8", width=1, image=(2, 8, 8), classes=3, norm="batch")
    net = build_network(layers, draw_he_weights(layers, seed=0, model="I"))
    theirs = torch.nn.BatchNorm2d(8)
    for _ in range(3):
        x = torch.randn(16, 8, 4, 4) * 3 + 1
        assert torch.allclose(net.norm1_1.train()(x), theirs(x), atol=1e-6)
    assert torch.allclose(net.norm1_1.running_var, theirs.running_var)
    assert torch.allclose(net.norm1_1.eval()(x), theirs.eval()(x), atol=1e-6)
    assert set(net.state_dict()) == {key for layer in layers for key in layer.tensors()}


def test_dropout_acts_in_training_only():
    layers = plan("conv3-8 fc-64", width=1, image=(1, 4, 4), classes=2)
    net = build_network(layers, draw_he_weights(layers, seed=0, model="I"), dropout=0.5)
    images = torch.randn(3, 1, 4, 4)
    assert not torch.equal(net.train()(images), net(images))
    assert torch.equal(net.eval()(images), net(images))


@pytest.mark.parametrize("change", ["missing", "extra", "reshaped"])
def test_a_state_that_does_not_fit_is_refused(change):
    layers = plan("conv3-8 fc-16", width=1, image=(1, 4, 4), classes=2)
    state = draw_he_weights(layers, seed=0, model="I")
    if change == "missing":
        del state["fc1.bias"]
    elif change == "extra":
        state["fc9.bias"] = torch.zeros(1)
    else:
        state["fc1.bias"] = torch.zeros(17)
    with pytest.raises(RuntimeError, match=r"fc[19]\.bias"):
        build_network(layers, state)


class Two(Group):
    """The first of two processes; the other one's tensors are zeros."""

    def __init__(self):
        super().__init__(alone=True)
        self.size = 2

    def all_reduce_sum(self, value):
        return value + 0


class Devices(TorchDispatchMode):
    """Notes the devices of the tensors that operations take."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.seen |= {leaf.device.type for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        return operation(*args, **(kwargs or {}))


def test_a_norm_across_processes_copies_nothing_to_its_device():
    """A copy would wait for the device at each norm of each step."""
    norm = BatchNorm(4).to("meta")
    norm.group = Two()
    with Devices() as devices:
        norm(torch.zeros(2, 4, 3, 3, device="meta"))
    assert devices.seen == {"meta"}
