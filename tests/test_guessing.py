"""A network that does no better than guessing, or that overfits, is told as what it is."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from callbacks import Hooks
from tensors import draw_he_weights
from test_training import LAYERS, recipe, trainer_for

from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import Evaluation
from deepen.records.history import Epoch
from deepen.training import loop as module
from deepen.training.checkpoint import Checkpoints
from deepen.training.guessing import Guessing, compute_majority_top1
from deepen.training.loop import train
from deepen.training.progress import TrainingProgress

GUESSER = Guessing(loss=1.2, guessed_loss=0.9, least_loss=0.05, val_loss=1.0, guessed_val_loss=0.9, top1=63.0, guessed_top1=63.0, images=100, balanced=False)  # fmt: skip

OVERFIT = {"loss": 0.1, "top1": 70.0}


def told(**changes):
    return dataclasses.replace(GUESSER, **changes).find_warning(1000)


class TestWhatIsTold:
    def test_a_dead_start_is_a_warning(self):
        assert told() == (
            "learned nothing in 1,000 steps: training loss 1.200 is not clearly lower than 0.900, that of guessing by class "
            "frequency, and validation top-1 63.00 % is not higher than 63.00 %, that of always predicting the majority "
            "class; change lr, or grow it from a shallower model with growth: identity"
        )
        assert told(loss=0.89, images=2) == told(loss=0.89) != told(loss=0.88)  # a dead start is dead of any validation

    def test_overfitting_is_a_warning(self):
        assert told(loss=0.1) == (
            "overfits: the training loss fell to 0.100, that of guessing is 0.900, but validation top-1 63.00 % is not "
            "higher than 63.00 %, that of always predicting the majority class; add images, set crop: true and flip: true "
            "if they suit the images, increase weight_decay or dropout, or reduce width or epochs"
        )

    def test_overfitting_is_a_warning_where_it_beats_guessing_too(self):
        assert told(**OVERFIT) == (
            "overfits: training loss 0.100 is close to its lower bound, 0.050, but validation loss 1.000 is over two thirds "
            "of 0.900, that of guessing, and validation top-1 is 70.00 %; add images, set crop: true and flip: true if "
            "they suit the images, increase weight_decay or dropout, or reduce width or epochs"
        )
        assert "and validation balanced top-1 is 70.00 %" in told(**OVERFIT, balanced=True)
        assert told(**OVERFIT | {"val_loss": 7.0}).startswith("overfits: ")

    @pytest.mark.parametrize("healthy", [{"loss": 0.14}, {"val_loss": 0.6}, {"top1": 90.0}, {"images": 49}])
    def test_a_network_that_still_learns_or_generalizes_has_no_warning(self, healthy):
        assert told(**OVERFIT | healthy) is None

    def test_overfitting_is_a_warning_only_at_the_end(self):
        assert dataclasses.replace(GUESSER, **OVERFIT).find_dead_start(1000) is None

    def test_little_learned_is_a_warning(self):
        little = told(loss=0.1, val_loss=0.8)
        assert little == (
            "learned little: validation top-1 63.00 % is not higher than 63.00 %, that of always predicting the majority "
            "class, although validation loss 0.800 is lower than 0.900, that of guessing; set more epochs, or "
            "class_weights: balanced"
        )
        assert told(val_loss=0.8) == little  # dropout and augmentation may keep the training loss up

    def test_warnings_on_balanced_classes_name_balanced_top_1(self):
        balanced = {"balanced": True, "top1": 33.0, "guessed_top1": 100 / 3}
        assert "validation balanced top-1 33.00 % is not higher than 33.33 %, that of always predicting a single class" in told(**balanced)  # fmt: skip
        assert told(**balanced, val_loss=0.8).endswith("; set more epochs")

    def test_too_few_validation_images_are_a_warning(self):
        assert told(loss=0.1, images=20) == (
            "validation has 20 images, too few to tell learning from guessing; add images, or increase val_fraction"
        )

    @pytest.mark.parametrize(("guessed", "images"), [(63.0, 23), (50.0, 25), (90.0, 9)])
    def test_images_are_too_few_if_twice_the_standard_error_is_over_20_points(self, guessed, images):
        """200 sqrt(share (1 - share) / images) > 20: at a share of 0.5, fewer than 25 images."""
        overfits = {"loss": 0.1, "top1": guessed, "guessed_top1": guessed}
        assert "too few to tell" not in told(**overfits, images=images + 1)
        assert "too few to tell" in told(**overfits, images=images - 1)

    def test_a_network_better_by_one_image_has_no_warning(self):
        assert told(top1=64.0) is None
        assert dataclasses.replace(GUESSER, top1=64.0).find_dead_start(1000) is None

    def test_only_a_dead_start_is_a_warning_early(self):
        assert GUESSER.find_dead_start(1000) == told()
        assert dataclasses.replace(GUESSER, loss=0.1).find_dead_start(1000) is None


class TestWhatIsHeldAgainstEachOther:
    labels = np.array([0] * 6 + [1] * 3 + [2])

    def of(self, history, *, balanced):
        predicted = torch.tensor([0] * 6 + [1, 0, 0] + [0])
        found = Evaluation(10, (7, 9, 10), (7, 9, 10), 0.7, predicted, torch.ones(10))
        return Guessing.of(history, 0.9, 0.05, found, self.labels, balanced=balanced)

    def test_accuracy_is_compared_with_the_majority_class(self):
        found = self.of([Epoch(1, 0.1, 1.0, 0.7, 70.0)], balanced=False)
        assert (found.top1, found.guessed_top1) == (70, compute_majority_top1(self.labels)) == (70, 60)
        assert found.guessed_val_loss == pytest.approx(-(0.6 * np.log(0.6) + 0.3 * np.log(0.3) + 0.1 * np.log(0.1)))

    def test_balanced_accuracy_is_the_mean_of_the_recalls(self):
        found = self.of([Epoch(1, 0.1, 1.0, 0.7, 70.0)], balanced=True)
        assert (found.top1, found.guessed_top1) == pytest.approx((100 * (1 + 1 / 3 + 0) / 3, 100 / 3))

    def test_the_training_loss_is_that_of_the_last_fifth_of_epochs(self):
        history = [Epoch(i, 0.1, float(i), 0.7, 70.0) for i in range(1, 13)]
        assert self.of(history, balanced=False).loss == 11.5
        assert self.of(history[:3], balanced=False).loss == 3


@pytest.fixture
def ten_are_enough(monkeypatch):
    monkeypatch.setattr(module, "FEW_STEPS", 10)


DEAD = {key: torch.zeros_like(tensor) for key, tensor in draw_he_weights(LAYERS, seed=0, model="I").items()}


def warnings(images, validation=None, training=None, **options):
    """What a training warns of, each with the epoch after which it did."""
    found, done = [], []
    callback = Hooks(epoch=done.append, warn=lambda text: found.append((len(done), text)))
    state = options.pop("state", None)
    state = None if state is None else {key: tensor.clone() for key, tensor in state.items()}
    trainer = trainer_for(images, training or recipe(), state=state, **options)
    train(trainer, validation or images, callbacks=[callback])
    return found


@pytest.mark.usefixtures("ten_are_enough")
class TestInTraining:
    def test_a_training_warns_of_a_dead_start_after_five_epochs_and_at_the_end(self, colored):
        (early, first), (late, last) = warnings(colored, state=DEAD, epochs=7)
        assert (early, late) == (5, 7)
        assert first.startswith("I: learned nothing in 35 steps: training loss 1.10")
        assert last.startswith("I: learned nothing in 49 steps: ")

    def test_a_training_warns_of_a_dead_start_after_a_fifth_of_its_steps_if_later(self, colored):
        (early, _), (late, _) = warnings(colored, state=DEAD, epochs=60, training=recipe(batch_size=60))
        assert (early, late) == (12, 60)

    def test_a_training_that_learns_has_no_warning(self, colored):
        assert warnings(colored, epochs=6) == []

    def test_a_training_that_does_not_generalize_overfits(self, colored):
        others = ImageSet(colored.images, (colored.labels + 1) % 3, colored.classes)
        [(epoch, text)] = warnings(colored, others, epochs=6)
        assert epoch == 6
        assert text.startswith("I: overfits: the training loss fell to 0.")

    def test_a_training_that_beats_guessing_can_overfit_too(self, colored):
        half_right = np.where(np.arange(len(colored)) % 2, colored.labels, (colored.labels + 1) % 3)
        others = ImageSet(colored.images, half_right, colored.classes)
        [(epoch, text)] = warnings(colored, others, recipe(label_smoothing=0.0), epochs=12)
        assert epoch == 12
        assert re.match(r"I: overfits: training loss 0\.\d+ is close to its lower bound, 0\.000, but", text)

    def test_the_warning_is_kept_where_nothing_is_left_to_train(self, colored, tmp_path):
        first, again = (
            train(trainer_for(colored, recipe(), state={**DEAD}, epochs=2), colored, Checkpoints(tmp_path, 0))
            for _ in range(2)
        )
        assert first == again
        assert first.warning.startswith("learned nothing in 14 steps: ")

    def test_warnings_go_to_standard_error(self, colored, capsys):
        trainer = trainer_for(colored, recipe(), state={**DEAD}, epochs=2)
        with TrainingProgress("I", 2, trainer.steps, 8, verbosity="quiet") as progress:
            train(trainer, colored, callbacks=[progress])
        assert capsys.readouterr().err.startswith("warning: I: learned nothing in 14 steps: ")


def test_photos_of_unequal_classes_that_took_three_steps_are_not_called_dead(rng):
    labels = np.repeat([0, 1, 2], [130, 51, 24])
    images = ImageSet(rng.integers(0, 255, (205, 3, 8, 8), dtype=np.uint8), labels, ("apple", "pear", "plum"))
    validation = images.select(np.arange(0, 205, 9))
    assert warnings(images, validation, recipe(batch_size=128), epochs=3) == []
    assert warnings(images, validation, recipe(batch_size=128), epochs=3, state=DEAD) == []
