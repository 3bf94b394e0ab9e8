import pytest
import torch
from conftest import LADDER
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from deepen.core.errors import InputError
from deepen.growth.identity import find_identity_faults, find_pool_faults
from deepen.models.layers import (
    compute_receptive_field,
    count_forward_flops,
    count_parameters,
    count_training_flops,
    freeze,
    list_tensor_shapes,
    plan,
)
from deepen.models.notation import count_weight_layers, find_notation_faults
from deepen.models.vgg import VGG

PAPER = {  # arXiv 1409.1556, table 1
    "A": "conv3-64 maxpool conv3-128 maxpool conv3-256*2 maxpool conv3-512*2 maxpool conv3-512*2 maxpool fc-4096*2",
    "B": "conv3-64*2 maxpool conv3-128*2 maxpool conv3-256*2 maxpool conv3-512*2 maxpool conv3-512*2 maxpool fc-4096*2",
    "C": "conv3-64*2 maxpool conv3-128*2 maxpool conv3-256*2 conv1-256 maxpool conv3-512*2 conv1-512 maxpool "
    "conv3-512*2 conv1-512 maxpool fc-4096*2",
    "D": "conv3-64*2 maxpool conv3-128*2 maxpool conv3-256*3 maxpool conv3-512*3 maxpool conv3-512*3 maxpool fc-4096*2",
    "E": "conv3-64*2 maxpool conv3-128*2 maxpool conv3-256*4 maxpool conv3-512*4 maxpool conv3-512*4 maxpool fc-4096*2",
}


@pytest.mark.parametrize(("name", "count"), [("I", 9_878_794), ("II", 13_878_282), ("III", 23_317_514)])
def test_the_ladder_has_the_parameters_of_its_table(name, count):
    assert count_parameters(plan(LADDER[name], width=1, image=(3, 32, 32), classes=10)) == count


@pytest.mark.parametrize(
    ("name", "count", "depth"),
    [
        ("A", 132_863_336, 11),
        ("B", 133_047_848, 13),
        ("C", 133_638_952, 16),
        ("D", 138_357_544, 16),
        ("E", 143_667_240, 19),
    ],
)
def test_parameters_and_depth_of_the_paper_s_networks(name, count, depth):
    layers = plan(PAPER[name], width=1, image=(3, 224, 224), classes=1000)
    assert count_parameters(layers) == count
    assert count_weight_layers(PAPER[name]) == depth == sum(layer.kind != "maxpool" for layer in layers)


@pytest.mark.parametrize(
    ("text", "width", "frozen"),
    [
        (LADDER["I"], 1, []),
        (LADDER["III"], 0.25, []),
        (LADDER["II"], 0.25, ["conv1_1", "conv2_1", "conv3_1", "fc1", "head"]),
        (LADDER["II"], 0.25, ["conv2_2"]),
        (PAPER["C"], 0.125, []),
        ("maxpool conv3-8", 1, []),
        ("whiten2-24 conv3-8 maxpool conv2-8 maxpool3 fc-8", 1, []),
        ("whiten3-6 conv3-8 maxpool3", 0.5, ["conv1_1"]),
    ],
)
def test_flops_are_those_that_torch_counts(text, width, frozen):
    layers = freeze(plan(text, width=width, image=(3, 32, 32), classes=10), frozen)
    with torch.device("meta"):
        net, images = VGG(layers), torch.zeros(4, 3, 32, 32)
    with FlopCounterMode(display=False) as forward:
        loss = net(images).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    assert count_forward_flops(layers) * 4 == forward.get_total_flops()
    assert count_training_flops(layers) * 4 == forward.get_total_flops() + backward.get_total_flops()


def test_roles_and_shapes_follow_the_place():
    layers = plan("conv3-4*2 maxpool conv1-8 fc-16*2", width=1, image=(1, 6, 10), classes=3)
    assert [layer.role for layer in layers] == ["conv1_1", "conv1_2", "pool1", "conv2_1", "fc1", "fc2", "head"]
    assert [layer.outputs for layer in layers] == [(4, 6, 10), (4, 6, 10), (4, 3, 5), (8, 3, 5), (16,), (16,), (3,)]
    assert list_tensor_shapes(layers)["conv2_1.weight"] == (8, 4, 1, 1)
    assert list_tensor_shapes(layers)["fc1.weight"] == (16, 8 * 3 * 5)


def test_even_kernels_have_no_padding_and_pools_divide_by_their_size():
    layers = plan("whiten2-12 conv3-8 conv4-8 maxpool3 conv1-8", width=0.5, image=(3, 13, 10), classes=3)
    assert [layer.role for layer in layers] == ["whiten", "conv1_1", "conv1_2", "pool1", "conv2_1", "head"]
    assert [layer.outputs for layer in layers[:-1]] == [(12, 12, 9), (4, 12, 9), (4, 9, 6), (4, 3, 2), (4, 3, 2)]
    assert [layer.role for layer in layers if layer.frozen] == ["whiten"]
    with torch.device("meta"):
        net, images = VGG(layers), torch.zeros(2, 3, 13, 10)
    assert net.features(images).shape == (2, 4, 3, 2)
    assert net(images).shape == (2, 3)


def test_whitening_has_no_norm():
    layers = plan("whiten3-6 conv3-4", width=1, image=(1, 6, 6), classes=3, norm="batch")
    assert [layer.role for layer in layers] == ["whiten", "conv1_1", "norm1_1", "head"]


def test_a_norm_follows_each_convolution_and_its_statistics_are_no_parameters():
    text = "conv3-4*2 maxpool conv1-8 fc-16"
    plain = plan(text, width=1, image=(1, 6, 6), classes=3)
    layers = plan(text, width=1, image=(1, 6, 6), classes=3, norm="batch")
    assert [layer.role for layer in layers][:6] == ["conv1_1", "norm1_1", "conv1_2", "norm1_2", "pool1", "conv2_1"]
    assert [layer for layer in layers if layer.kind != "norm"] == list(plain)
    assert list_tensor_shapes(layers)["norm2_1.running_mean"] == (8,)
    assert count_parameters(layers) == count_parameters(plain) + 2 * (4 + 4 + 8)
    assert count_training_flops(layers) == count_training_flops(plain)


def test_width_multiplies_every_count_but_the_classes():
    layers = plan(LADDER["II"], width=0.25, image=(3, 32, 32), classes=10)
    assert [layer.outputs[0] for layer in layers if layer.kind != "maxpool"] == [32, 64, 64, 128, 128, 256, 256, 10]


TOKENS = st.sampled_from(
    ["conv3-8", "conv3-8*3", "conv1-64", "conv2-8", "maxpool", "maxpool3", "fc-9", "whiten2-24", "whiten3-56"]
) | st.text("conv3-8*maxplfwhitn ", max_size=9)


@given(st.lists(TOKENS, max_size=6), st.sampled_from([0.01, 0.5, 1.0]))
def test_whatever_is_written_is_laid_out_or_told(tokens, width):
    text = " ".join(tokens)
    try:
        layers = plan(text, width=width, image=(3, 8, 8), classes=3)
    except InputError:
        return
    assert find_notation_faults(text) == []
    assert count_parameters(layers) > 0
    with torch.device("meta"):
        assert VGG(layers)(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    assert len({layer.role for layer in layers}) == len(layers)


def test_a_width_that_leaves_no_channel_is_an_error():
    with pytest.raises(
        InputError, match=r"width: 0\.05 scales 8 channels in 'conv3-8 fc-16' to none; use at least 0\.125"
    ):
        plan("conv3-8 fc-16", width=0.05, image=(1, 8, 8), classes=2)


def test_an_image_too_small_for_its_pools_is_an_error():
    with pytest.raises(InputError) as error:
        plan("maxpool maxpool conv3-8 maxpool", width=1, image=(1, 4, 9), classes=2)
    assert error.value.faults == (
        "layer 4 of 'maxpool maxpool conv3-8 maxpool': maxpool needs at least 2x2 pixels, but images of 4x9 are only "
        "1x2 at this layer; use larger images, smaller kernels or fewer maxpool",
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("conv3-8 conv10-8", "layer 2 of 'conv3-8 conv10-8': conv needs at least 10x10 pixels, but images of 9x9 are only 9x9"),
        ("maxpool conv3-8 maxpool5", "maxpool needs at least 5x5 pixels, but images of 9x9 are only 4x4 at this layer"),
    ],
)  # fmt: skip
def test_an_image_too_small_for_a_kernel_without_padding_is_an_error(text, fault):
    with pytest.raises(InputError) as error:
        plan(text, width=1, image=(1, 9, 9), classes=2)
    assert fault in str(error.value)


@pytest.mark.parametrize("kernel", [2, 3])
def test_images_too_small_for_the_patches_of_statistics_can_t_be_whitened(kernel):
    text = f"whiten{kernel}-6 conv1-8"
    with pytest.raises(InputError, match=f"layer 1 of '{text}': whiten needs at least 3x3 pixels, but images of 5x2 "):
        plan(text, width=1, image=(1, 5, 2), classes=2)
    assert plan(text, width=1, image=(1, 3, 3), classes=2)


@pytest.mark.parametrize(("kernel", "channels", "most"), [(2, 1, 8), (2, 3, 24), (3, 3, 54)])
def test_more_whitening_filters_than_components_and_their_negatives_are_an_error(kernel, channels, most):
    fault = (
        f"whiten{kernel}-{most + 2} has more filters than its patches have principal components, {most // 2}, and their "
        f"negatives; write at most whiten{kernel}-{most}"
    )
    with pytest.raises(InputError, match=fault):
        plan(f"whiten{kernel}-{most + 2} conv3-8", width=0.5, image=(channels, 8, 8), classes=2)
    assert plan(f"whiten{kernel}-{most} conv3-8", width=0.5, image=(channels, 8, 8), classes=2)[0].outputs[0] == most


def test_identity_needs_square_layers_after_a_relu():
    layers = plan("conv3-3 conv3-8 maxpool conv3-8 fc-16*2", width=1, image=(3, 4, 4), classes=2)
    faults = find_identity_faults(layers, ["conv1_1", "conv1_2", "conv2_1", "fc1", "fc2", "head"])
    assert [fault.split(",")[0] for fault in faults] == [
        "conv1_1 is the first layer",
        "conv1_2 has 3 inputs and 8 outputs",
        "fc1 has 32 inputs and 16 outputs",
    ]
    assert "use growth: random" in faults[0]


def test_identity_needs_an_odd_kernel_and_pixels_have_no_relu_before():
    layers = plan("whiten2-12 conv2-12 conv3-12", width=1, image=(3, 6, 6), classes=2)
    assert find_identity_faults(layers, ["whiten", "conv1_1", "conv1_2"]) == [
        "whiten is the first layer, growth: identity needs a ReLU before; use growth: random",
        "conv1_1 has an even kernel, which makes height and width smaller, growth: identity needs an odd one; make it "
        "odd, or use growth: random",
    ]


def test_identity_needs_equal_pools():
    shallow, deep = (
        plan(text, width=1, image=(1, 6, 6), classes=2)
        for text in ("conv3-4 maxpool maxpool3", "conv3-4*2 maxpool maxpool2")
    )
    assert list_tensor_shapes(shallow)["head.weight"] == list_tensor_shapes(deep)["head.weight"]
    assert find_pool_faults(shallow, deep) == [
        "pool2 takes 2x2 pixels here and 3x3 there, growth: identity needs equal pools; make them equal, or use "
        "growth: random"
    ]
    assert find_pool_faults(shallow, shallow) == find_pool_faults((), deep) == []


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("conv3-8", 3),
        ("conv3-8*2", 5),
        ("conv1-8", 1),
        ("conv3-8 maxpool", 4),
        ("conv3-8 maxpool conv3-8 fc-8", 8),
        ("conv5-8 maxpool conv3-8*2 maxpool", 16),
        ("whiten2-24 conv3-8 maxpool3 conv3-8", 12),
    ],
)
def test_the_receptive_field_grows_with_kernels_and_pools_multiply_its_steps(text, side):
    assert compute_receptive_field(plan(text, width=1, image=(3, 32, 32), classes=10)) == side
