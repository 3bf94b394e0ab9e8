"""A training step takes few kernels on a GPU: counted as operations that PyTorch dispatches, in the forms of CUDA."""

import numpy as np
import pytest
import torch
from cuda_forms import use_cuda_forms
from kernels import list_kernels
from tensors import draw_he_weights
from test_training import recipe, trainer_for

from deepen.data.images import ImageSet
from deepen.models.layers import plan

MODELS = {
    "I": "conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024",
    "III": "conv3-128 maxpool conv3-256*2 maxpool conv3-512*6 maxpool fc-1024*2",
}


@pytest.fixture
def images(rng):
    pixels = rng.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    return ImageSet(pixels, np.arange(20, dtype=np.int64) % 10, tuple("abcdefghij"))


def make_trainer(images, model):
    """A trainer in bfloat16 of the default recipe, at a 16th of the width."""
    layers = plan(MODELS[model], width=1 / 16, image=(3, 32, 32), classes=10)
    start = draw_he_weights(layers, seed=0, model="I")
    return trainer_for(images, recipe(), layers=layers, state=start, dtype=torch.bfloat16)


@pytest.mark.parametrize(("model", "most"), [("I", 120), ("III", 204)])
def test_a_step_takes_few_kernels(images, monkeypatch, model, most):
    use_cuda_forms(monkeypatch)
    trainer = make_trainer(images, model)
    trainer._train_step(torch.arange(8))  # makes the momentum buffers
    kernels = list_kernels(trainer._train_step, torch.arange(8))
    kernels["_to_copy"] -= list_kernels(trainer._optimizer.step)["_to_copy"]  # only on a CPU
    assert kernels.total() <= most, dict(kernels)
