import pytest
import torch
from test_layers import PAPER
from test_training import LAYERS, recipe, trainer_for

from deepen.evaluation import batch_size
from deepen.evaluation.batch_size import choose_validation_batch
from deepen.models.layers import plan

CPU, GPU = torch.device("cpu"), torch.device("cuda")
III = plan(
    "conv3-128 maxpool conv3-256*2 maxpool conv3-512*6 maxpool fc-1024*2", width=1, image=(3, 32, 32), classes=10
)
VGG19 = plan(PAPER["E"], width=1, image=(3, 224, 224), classes=1000)


@pytest.mark.parametrize(("trained", "batch"), [(0, 1), (1, 1), (128, 128), (1000, 500)])
def test_on_a_cpu_it_is_the_training_batch_up_to_500(trained, batch):
    assert choose_validation_batch(III, trained, CPU) == batch
    assert choose_validation_batch((), trained, GPU) == batch  # a network of unknown layers


@pytest.mark.parametrize(
    ("layers", "gigabytes", "trained", "batch"),
    [(III, 16, 128, 500), (III, 1, 8, 42), (III, 1, 128, 128), (VGG19, 16, 8, 27), (VGG19, 80, 64, 139), (VGG19, 2, 8, 8)],
)  # fmt: skip
def test_a_gpu_takes_what_a_share_of_its_memory_holds(monkeypatch, layers, gigabytes, trained, batch):
    monkeypatch.setattr(batch_size, "get_total_memory", lambda device: gigabytes * 2**30)
    assert choose_validation_batch(layers, trained, GPU) == batch


def test_a_trainer_asks_for_its_network_and_device(colored, monkeypatch):
    trainer = trainer_for(colored, recipe(batch_size=20))
    assert trainer.validation_batch == 20
    monkeypatch.setattr(batch_size, "get_total_memory", lambda device: 2**30)
    trainer.device = GPU
    assert trainer.validation_batch == 500
    assert trainer.network.layers == LAYERS
