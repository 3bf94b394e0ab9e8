import dataclasses

import pytest
import torch
import yaml_text
from callbacks import Hooks
from tensors import draw_he_weights
from test_settings import PARAMS

from deepen.config.recipes import Plateau, TrainingSettings
from deepen.core.errors import InputError
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.statistics import compute_statistics
from deepen.models.layers import plan
from deepen.models.vgg import build_network
from deepen.training import loop as module
from deepen.training import trainer as trainer_module
from deepen.training.callback import Callback
from deepen.training.loop import train
from deepen.training.trainer import Trainer

RECIPES = {
    name: TrainingSettings(**recipe["training"])
    for name, recipe in yaml_text.load(PARAMS.read_text())["recipes"].items()
}
AUGMENTATION = Augmentation(flip=True, crop=0.125, color_shift=0.1)
LAYERS = plan("conv3-8 maxpool fc-16", width=1, image=(3, 8, 8), classes=3)


def recipe(name="onecycle", **changes):
    return RECIPES[name].model_copy(update={"batch_size": 8, **changes})


def trainer_for(
    images, training, *, epochs=3, peak_lr=0.05, seed=0, state=None, augmentation=AUGMENTATION, layers=LAYERS, **options
):
    net = build_network(layers, state or draw_he_weights(layers, seed=0, model="I"), training.dropout)
    return Trainer(
        net, images, compute_statistics(images.images), augmentation, training,
        model="I", peak_lr=peak_lr, epochs=epochs, seed=seed, device=torch.device("cpu"), **options,
    )  # fmt: skip


def run(images, training, *, callbacks=(), **options):
    trainer = trainer_for(images, training, **options)
    history = train(trainer, images, callbacks=callbacks).epochs
    return trainer.network.state_dict(), history


def test_training_learns_below_what_softmax_before_the_loss_could_reach(colored):
    _, history = run(colored, recipe(label_smoothing=0.0, dropout=0.0), epochs=10)
    assert history[-1].val_top1 == 100
    assert history[-1].loss < 0.55  # three classes: softmax before cross-entropy can't go below log(1 + 2 / e) = 0.5514
    assert history[-1].val_loss < history[0].val_loss
    assert [row.epoch for row in history] == list(range(1, 11))


def test_the_published_recipe_learns_too_and_does_not_crop(colored):
    assert not RECIPES["published"].crop
    _, history = run(colored, recipe("published"), epochs=10, augmentation=dataclasses.replace(AUGMENTATION, crop=0.0))
    assert history[-1].val_top1 > 90
    assert {row.lr for row in history} == {0.05}


def test_the_same_seed_gives_the_same_bits_and_another_does_not(colored):
    first, history = run(colored, recipe())
    second, again = run(colored, recipe())
    other, _ = run(colored, recipe(), seed=1)
    assert history == again
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_earlier_work_of_the_process_changes_no_training(colored):
    first, _ = run(colored, recipe())
    torch.manual_seed(77)
    torch.rand(5)
    second, _ = run(colored, recipe())
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_an_epoch_sees_each_image_once_in_an_order_of_its_own(colored, monkeypatch):
    seen = []

    class Spy(AugmentedImages):
        def batch(self, rows, generator, part):
            seen.extend(rows[part].tolist())
            return super().batch(rows, generator, part)

    monkeypatch.setattr(trainer_module, "AugmentedImages", Spy)
    run(colored, recipe(batch_size=20), epochs=2)
    assert sorted(seen[:60]) == sorted(seen[60:]) == list(range(60))
    assert seen[:60] != seen[60:]


def test_a_fraction_of_an_epoch_cuts_the_last_one_short(colored):
    steps = []
    _, history = run(colored, recipe(), epochs=2.5, callbacks=[Hooks(step=lambda: steps.append(None))])
    assert [row.epoch for row in history] == [1, 2, 3]
    assert len(steps) == 7 + 7 + 4  # 17.5 is rounded to even
    assert history[-1].lr < 0.05 / 10


@pytest.mark.parametrize(("batch", "expected"), [(8, (7, 8)), (60, (1, 60)), (128, (1, 60)), (None, (7, 8))])
def test_an_epoch_has_only_whole_batches(colored, batch, expected):
    trainer = trainer_for(colored, recipe(batch_size=batch))
    assert (trainer.steps_per_epoch, trainer.batch_size) == expected
    assert trainer.steps == 3 * expected[0]


def test_the_plateau_is_of_validation_accuracy(colored, monkeypatch):
    accuracies = iter([50.0, 60.0, 60.0, 60.0, 60.0, 60.0])

    @dataclasses.dataclass
    class Found:
        loss: float = 1.0

        def percent(self, k):
            return next(self.source)

    Found.source = accuracies
    monkeypatch.setattr(module, "evaluate", lambda *args, **options: Found())
    training = recipe("published", schedule=Plateau(name="plateau", factor=0.1, patience=1))
    _, history = run(colored, training, epochs=6, peak_lr=0.02)
    assert [round(row.lr, 6) for row in history] == [0.02, 0.02, 0.02, 0.02, 0.002, 0.002]


def test_a_loss_that_is_not_finite_stops_at_once_and_says_what_to_do(colored):
    steps = []
    with pytest.raises(
        InputError,
        match=r"I: the loss is (nan|inf) in epoch 1, step \d+: .* at a learning rate of .*; lower lr, for example -S lr=",
    ):
        run(colored, recipe(), peak_lr=1e9, epochs=50, callbacks=[Hooks(step=lambda: steps.append(None))])
    assert len(steps) < 7


def test_weights_can_t_go_on_from_nan(colored):
    state = draw_he_weights(LAYERS, seed=0, model="I")
    state["fc1.weight"][0, 0] = float("nan")
    with pytest.raises(InputError, match="the loss is nan in epoch 1, step 1:"):
        run(colored, recipe(), state=state)


def test_each_callback_runs_after_every_step_and_epoch(colored):
    steps, epochs, more = [], [], []
    first = Hooks(step=lambda: steps.append(len(epochs)), epoch=epochs.append)
    _, history = run(colored, recipe(), callbacks=[first, Callback(), Hooks(epoch=more.append)])
    assert steps == [0] * 7 + [1] * 7 + [2] * 7
    assert epochs == more == history
