from contextlib import contextmanager

import pytest
import torch
from dvc_project import ROOT
from tensors import draw_he_weights

from deepen.config.settings import load_settings
from deepen.data import prefetch as mapped
from deepen.data.augmentation import Augmentation
from deepen.data.statistics import compute_statistics
from deepen.models.layers import freeze, plan
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device
from deepen.training.cuda_graph import ReplayedStep
from deepen.training.trainer import Trainer

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
no_warnings = pytest.mark.filterwarnings("ignore:max_pool2d_with_indices_backward_cuda")  # no two windows overlap


class Graph:
    """As torch.cuda.CUDAGraph: what ran while it was recorded runs again, from and into the same memory."""

    def __init__(self):
        self.replays, self.generators = 0, []

    def register_generator_state(self, generator):
        self.generators.append(generator)

    def replay(self):
        self.replays += 1
        self.recorded()


@pytest.fixture
def graphs(monkeypatch):
    made = []

    @contextmanager
    def recording(graph, **options):
        made.append(graph)
        yield
        made.append(None)

    class Stream:
        def wait_stream(self, other):
            pass

    @contextmanager
    def stream(_):
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    return made


def test_every_call_does_its_step_once_on_its_own_rows(graphs):
    done, generator = [], torch.Generator()

    def step(rows):
        if graphs and graphs[-1] is not None:  # recording: nothing is done until it is replayed
            result = torch.zeros(())
            graphs[-1].recorded = lambda: (done.append(rows.tolist()), result.copy_(rows.sum()))
            return result
        done.append(rows.tolist())
        return rows.sum()

    replayed = ReplayedStep(step, generator)
    losses = [replayed(torch.tensor([call, call + 1])).item() for call in range(6)]
    assert done == [[call, call + 1] for call in range(6)]
    assert losses == [2 * call + 1 for call in range(6)]
    assert graphs[0].replays == 3
    assert graphs[0].generators == [generator]


LAYERS = plan("conv3-16 maxpool conv3-16 maxpool fc-16", width=1, image=(3, 8, 8), classes=3)


WHOLE, VIEWS = Augmentation(True, 0.125, 0.1), Augmentation(True, 0.125, 0.1, view=8, scale_jitter=2.0)


def trained(images, recipe, augmentation=WHOLE, **options):
    device = choose_device("cuda", 1)
    onecycle = recipe == "onecycle"
    changes = {"batch_size": 10, "class_weights": "balanced" if onecycle else "none"}
    layers = freeze(LAYERS, [] if onecycle else ["conv1_1"])
    training = load_settings(ROOT / "params.yaml").recipes[recipe].training.model_copy(update=changes)
    return Trainer(
        build_network(layers, draw_he_weights(LAYERS, seed=0, model="I"), training.dropout),
        images, compute_statistics(images.images), augmentation, training,
        model="I", peak_lr=0.01, epochs=3, seed=0, device=device, dtype=torch.bfloat16, **options,
    )  # fmt: skip


@needs_cuda
@no_warnings
@pytest.mark.parametrize("augmentation", [WHOLE, VIEWS])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
def test_a_graph_s_training_is_the_same_on_cuda(colored, recipe, augmentation):
    weights = []
    for replayed in (True, True, False):
        trainer = trained(colored, recipe, augmentation, replayed=replayed)
        for epoch in (1, 2, 3):
            trainer.run_epoch(epoch, lambda: None)
        weights.append([tensor.cpu() for tensor in trainer.network.state_dict().values()])
    assert all(torch.equal(first, again) for first, again in zip(weights[0], weights[1], strict=True))
    assert all(torch.allclose(first, eager, atol=1e-2) for first, eager in zip(weights[0], weights[2], strict=True))


@needs_cuda
@no_warnings
@pytest.mark.parametrize("replayed", [True, False])
def test_images_that_stay_in_their_map_give_the_same_bits_on_cuda(colored, monkeypatch, replayed):
    weights = []
    for share in (1, 0):
        monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
        trainer = trained(colored, "onecycle", replayed=replayed)
        for epoch in (1, 2, 3):
            trainer.run_epoch(epoch, lambda: None)
        weights.append([tensor.cpu() for tensor in trainer.network.state_dict().values()])
    assert all(torch.equal(resident, fed) for resident, fed in zip(*weights, strict=True))


@needs_cuda
@no_warnings
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
@pytest.mark.parametrize("replayed", [True, False])
@pytest.mark.parametrize(("augmentation", "share"), [(WHOLE, 1), (WHOLE, 0), (VIEWS, 1)])
def test_nothing_waits_for_the_device_within_an_epoch_on_cuda(
    colored, monkeypatch, recipe, replayed, augmentation, share
):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    trainer = trained(colored, recipe, augmentation, replayed=replayed)
    trainer.run_epoch(1, lambda: None)
    steps = []

    def after_step():
        steps.append(None)
        torch.cuda.set_sync_debug_mode("error" if len(steps) < trainer.steps_per_epoch else "default")

    trainer.run_epoch(2, after_step)
    assert len(steps) == 6
