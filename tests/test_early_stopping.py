"""With `patience`, a training ends early, has the weights of its best epoch, and resumes to the same bits."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from callbacks import Hooks
from dvc_project import Project
from fake_cuda import fake_cuda
from group_workers import stopped_early
from groups import together
from safetensors import safe_open
from test_checkpoint import NORMS, Killed
from test_device_placement import make_network
from test_reporting import record
from test_training import recipe, trainer_for

from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.records.history import Epoch, find_best_epoch, load_history
from deepen.records.record import load_records
from deepen.report import page_tables, tables
from deepen.training import loop as module
from deepen.training.checkpoint import Checkpoints
from deepen.training.early_stopping import EarlyStopping
from deepen.training.loop import train
from deepen.training.progress import TrainingProgress


def rows(*results):
    return [Epoch(number, 0.1, 1.0, loss, top1) for number, (top1, loss) in enumerate(results, 1)]


@pytest.mark.parametrize(
    ("results", "best"),
    [
        ([(50, 1.0)], 1),
        ([(50, 1.0), (60, 2.0), (55, 0.1)], 2),
        ([(60, 1.0), (60, 0.9), (60, 0.9)], 2),
        ([(60, 1.0), (60, float("nan"))], 1),
        ([(60, float("inf")), (60, 3.0)], 2),
    ],
)
def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss(results, best):
    assert find_best_epoch(rows(*results)).epoch == best


@dataclasses.dataclass
class Result:
    """A validation with a given top-1."""

    top1: float
    loss: float = 1.0

    def percent(self, k):
        return self.top1


def scripted(monkeypatch, top1):
    """Let the validations have these accuracies; after the last epoch, one more is possible."""
    left = iter(top1)
    monkeypatch.setattr(module, "evaluate", lambda *args, **options: Result(next(left)))


@pytest.mark.parametrize(
    ("patience", "top1", "done", "best"),
    [
        (1, [50, 60, 60], 3, 2),
        (2, [50, 60, 55, 60], 4, 2),
        (2, [50, 40, 60, 55, 61, 50, 40], 7, 5),
        (3, [50, 60, 55, 61, 50, 40, 30, 20], 7, 4),
        (8, [50, 60, 55, 61, 50, 40, 30, 20], 8, 4),
        (1, [10, 20, 30, 40, 50, 60, 70, 80], 8, 8),
    ],
)
def test_a_training_ends_after_its_patience_with_the_weights_of_the_best_epoch(
    colored, monkeypatch, patience, top1, done, best
):
    scripted(monkeypatch, top1)
    trainer, weights, kept = trainer_for(colored, recipe(), epochs=8), [], []

    def remember(row):
        weights.append({key: tensor.clone() for key, tensor in trainer.network.state_dict().items()})

    hooks = Hooks(epoch=remember, keep=kept.append)
    history = train(trainer, colored, callbacks=[hooks], patience=patience).epochs
    assert (len(history), trainer.step) == (done, 7 * done)
    assert kept == [history[best - 1]]
    final = trainer.network.state_dict()
    assert [all(torch.equal(each[key], final[key]) for key in final) for each in weights].index(True) == best - 1


def test_without_patience_the_last_epoch_counts_however_bad(colored, monkeypatch, tmp_path):
    scripted(monkeypatch, [90, 10, 10])
    kept, trainer = [], trainer_for(colored, recipe())
    checkpoints = Checkpoints(tmp_path, 0)
    assert len(train(trainer, colored, checkpoints, callbacks=[Hooks(keep=kept.append)]).epochs) == 3
    assert kept == []
    assert not [name for name in checkpoints.load_newest().tensors if name.startswith("best.")]


def test_patience_changes_no_step_before_the_end(colored):
    plain = train(trainer_for(colored, recipe(), epochs=8), colored).epochs
    stopped = train(trainer_for(colored, recipe(), epochs=8), colored, patience=1).epochs
    assert stopped == plain[: len(stopped)]


def overfit(images):
    """Return validation images of which a third has wrong labels, so that accuracy does not rise for ever."""
    labels = images.labels.copy()
    labels[::3] = (labels[::3] + 1) % 3
    return ImageSet(images.images, labels, images.classes)


def go(images, folder=None, stop_after=None, patience=2, layers=NORMS):
    """Train with patience, or until so many steps are done; return weights and result."""

    def stop():
        if trainer.step == stop_after:
            raise Killed

    trainer = trainer_for(images, recipe(dropout=0.3), epochs=9, layers=layers)
    checkpoints = Checkpoints(folder, 0) if folder else None
    result = train(trainer, overfit(images), checkpoints, callbacks=[Hooks(step=stop)], patience=patience)
    return trainer.network.state_dict(), result


def same(one, other):
    return one[1] == other[1] and all(torch.equal(one[0][key], other[0][key]) for key in one[0])


def test_a_training_stopped_anywhere_ends_in_the_same_bits(colored, tmp_path):
    undisturbed = go(colored)
    steps = 7 * len(undisturbed[1].epochs)
    assert steps < 63  # it ends early
    for stop in (1, 7, 8, steps - 8, steps - 1, steps):
        folder = tmp_path / str(stop)
        with pytest.raises(Killed):
            go(colored, folder, stop)
        assert same(go(colored, folder), undisturbed), stop


def test_after_the_last_checkpoint_nothing_is_trained_again(colored, tmp_path):
    first = go(colored, tmp_path)
    assert same(go(colored, tmp_path, stop_after=7 * len(first[1].epochs) + 1), first)
    assert same(go(colored, tmp_path), first)


def test_a_lost_tensor_of_the_best_epoch_would_be_noticed(colored, tmp_path, monkeypatch):
    undisturbed = go(colored)
    last = 7 * len(undisturbed[1].epochs)
    with pytest.raises(Killed):
        go(colored, tmp_path, last)  # the best epoch is before
    restore = EarlyStopping.restore

    def forgetful(self, state):
        restore(self, {key: torch.zeros_like(tensor) for key, tensor in state.items()})

    monkeypatch.setattr(EarlyStopping, "restore", forgetful)
    assert not same(go(colored, tmp_path), undisturbed)


@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_stop_together_with_the_same_weights(tmp_path, size):
    found = together(size, stopped_early, tmp_path)
    assert len(found[0]["epochs"]) < 9
    assert all(one == found[0] for one in found)
    assert found[0]["kept"] == find_best_epoch(found[0]["epochs"]).epoch


def test_several_processes_resume_together(tmp_path):
    undisturbed = together(2, stopped_early, tmp_path / "a")
    assert together(2, stopped_early, tmp_path / "b", 9) == [None, None]
    assert together(2, stopped_early, tmp_path / "b") == undisturbed


def test_the_best_weights_stay_on_the_device_and_nothing_waits(monkeypatch):
    network = make_network()
    with fake_cuda(monkeypatch) as waits:
        network.to("cuda")
        stopping, history = EarlyStopping(network, 1), rows((50, 1.0), (60, 1.0))
        waits.clear()
        stopping.update(history[:1])
        stopping.update(history)
        stopping.use_best()
        assert waits == []
        assert {tensor.device.type for tensor in stopping.get_state().values()} == {"cuda"}


def test_patience_without_validation_images_is_one_error(colored):
    nothing = colored.select(np.arange(0))
    with pytest.raises(InputError) as error:
        train(trainer_for(colored, recipe()), nothing, patience=3)
    assert str(error.value) == ("I: patience needs validation images; increase val_fraction, or write patience: none")


def test_the_warning_is_about_the_weights_that_are_kept(colored, monkeypatch):
    """A training that overfits after its best epoch has no warning: the best epoch has learned and is the result."""
    monkeypatch.setattr(module, "FEW_STEPS", 10)
    others = ImageSet(colored.images, (colored.labels + 1) % 3, colored.classes)
    last = train(trainer_for(colored, recipe(), epochs=9), others)
    kept = train(trainer_for(colored, recipe(), epochs=9), others, patience=9)
    assert "overfits" in last.warning
    assert kept.warning != last.warning


def test_the_summary_names_the_epoch_it_stopped_after_and_the_one_it_kept(capsys):
    history = rows((50, 1.0), (75, 0.5), (70, 0.6))
    with TrainingProgress("II", 8, 24, 10, verbosity="quiet") as progress:
        progress.start(0, [])
        for row in history:
            progress.epoch(row)
        progress.keep(history[1])
    assert re.fullmatch(
        r"II: trained 3 epochs in .* images/s; stopped after epoch 3 of 8; kept epoch 2, validation top-1 75\.00 %\n",
        capsys.readouterr().out,
    )


def test_the_summary_of_a_training_that_was_not_stopped_names_the_kept_epoch(capsys):
    history = rows((50, 1.0), (75, 0.5), (70, 0.6))
    with TrainingProgress("II", 3, 24, 10, verbosity="quiet") as progress:
        progress.start(0, history)
        progress.keep(history[1])
    assert capsys.readouterr().out.endswith("images/s; kept epoch 2, validation top-1 75.00 %\n")


def with_patience(results, planned):
    one = record()
    settings = {"epochs": planned, "training": {"patience": 1}}
    return dataclasses.replace(
        one, training=dataclasses.replace(one.training, settings=settings, epochs=rows(*results))
    )


class TestReport:
    early = with_patience([(50, 1.0), (75, 0.5), (70, 0.6)], 8)
    full = with_patience([(50, 1.0), (75, 0.5), (70, 0.6)], 3)

    def test_a_sentence_says_after_which_epoch_each_model_stopped(self):
        told = "I stopped after epoch 3 of 8 and has the weights of epoch 2, the best in validation"
        assert told in tables.format_markdown([self.early])
        assert told.split() == tables.format_summary([self.early]).split()[-len(told.split()) :]
        assert "I trained all 3 epochs and has the weights of epoch 2" in tables.format_markdown([self.full])
        assert "weights of epoch" not in tables.format_markdown([record()])

    def test_the_tables_of_the_page_have_the_epochs(self):
        for one, text in ((self.early, "3 of 8, weights of 2"), (self.full, "3 of 3, weights of 2"), (record(), "2")):
            assert page_tables.make_scores_table([one]).rows[0][-1] == text
            assert ["epochs", text] in [list(row) for row in page_tables.make_settings_table([one]).rows]


@pytest.mark.slow
def test_dvc_repro_stops_early_and_everything_says_so(project: Project):
    project.edit("params.yaml", ("patience: none", "patience: 1"), ("depth: III", "depth: I"))
    project.edit("params.yaml", ("    epochs: 1\n", "    epochs: 40\n"))
    said = project("dvc repro report")
    history = load_history(project.path / "curves/I.json")
    done, kept = len(history.epochs), history.kept.epoch
    assert kept == done - 1 < 39
    assert f"stopped after epoch {done} of 40; kept epoch {kept}, validation top-1" in said
    batch = history.settings["training"]["batch_size"]
    assert history.learned == done * (history.images // batch) * batch  # FLOPs count what was trained
    assert load_records(project.path / "records/I.json")[0].training == history
    sentence = f"I stopped after epoch {done} of 40 and has the weights of epoch {kept}, the best in validation."
    assert sentence in project.read("reports/table.md")
    assert sentence in project.read("reports/index.html")
    assert len(project.read("reports/curves.csv").splitlines()) == 1 + done
    assert json.loads(project.read("curves/I.json"))["settings"]["training"]["patience"] == 1
    with safe_open(project.path / "weights/I.safetensors", framework="numpy") as file:
        assert file.keys()
