"""Stage `check`: what this machine can't do is told before anything trains."""

import os
import re

import numpy as np
import pytest
from dvc_project import ROOT

from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from pipeline import check as stage

PARAMS = (ROOT / "params.yaml").read_text().replace("width: auto ", "width: 1.0  ")


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A folder with images, in which `check` runs with changed settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPEN_LAUNCH", raising=False)
    images = np.zeros((20, 1, 8, 8), np.uint8)
    ImageSet(images, np.arange(20) % 10, tuple("0123456789")).save(tmp_path / "data/train.safetensors")

    def run(*changes):
        text = PARAMS
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "params.yaml").write_text(text)
        stage.check()

    return run


def test_the_check_prints_a_ladder_that_fits(prepared, capsys):
    prepared()
    said = capsys.readouterr().out
    assert said == (
        "images of 1x8x8 in 10 classes, 8 images per step\n"
        "I: 2,012,170 parameters, 200 steps; III: 15,450,890 parameters, 200 steps\n"
    )


def test_the_check_rejects_networks_larger_than_memory(prepared, monkeypatch):
    with pytest.raises(
        InputError, match=r"width: 64 gives III [0-9,]+ parameters, and training with batches of 8 images needs"
    ):
        prepared(("width: 1.0 ", "width: 64.0 "))
    monkeypatch.setenv("DEEPEN_LAUNCH", "srun")  # where that starts, there is other memory
    prepared(("width: 1.0 ", "width: 64.0 "))


def test_the_check_warns_of_more_threads_than_the_machine_has(prepared, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    prepared(("threads: auto ", "threads: 12 "))
    with pytest.raises(InputError) as error:
        prepared(("threads: auto ", "threads: 13 "))
    assert str(error.value) == (
        "params.yaml: threads: 13 is more than four per CPU, and this machine has 3; "
        "write for example threads: 3, which may change the last digits of results"
    )


def test_the_check_rejects_a_device_that_is_not_available(prepared):
    with pytest.raises(InputError, match="device: cuda:99 is not available"):
        prepared(("device: auto ", "device: cuda:99 "))


def test_epochs_and_steps_are_told_before_training(prepared, capsys):
    prepared(("    epochs: auto\n  II:", "    epochs: 5\n  II:"), ("[3, 3, 12]", "[3, 150]"))
    out, err = capsys.readouterr()
    about, models = out.splitlines()
    assert about == "images of 1x8x8 in 10 classes, 8 images per step"
    assert re.fullmatch(r"I: [0-9,]+ parameters, 10 steps; III: [0-9,]+ parameters, 300 steps", models)
    assert err == (
        "warning: I trains for 10 steps, and in fewer than 200 a network may learn little; "
        "write models.I.epochs: 100 or more, or add images\n"
    )


def test_few_images_that_make_few_steps_are_a_warning(prepared, capsys):
    prepared(("least_images: 40000", "least_images: 1"))
    assert capsys.readouterr().err == (
        "warning: I, II, III train for 6 to 24 steps, and in fewer than 200 a network may learn little; "
        "write models.I.epochs: 100 or more, and so on, or add images\n"
    )
