"""Files that are sound and do not belong together: each stage says which, and computes nothing from them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from tensors import load_weights

from deepen.data.images import load_images
from deepen.data.statistics import load_statistics
from deepen.evaluation.predictions import load_predictions
from deepen.models.weights import save_weights
from deepen.records.history import load_history
from deepen.records.ladder import load_ladder_results
from deepen.records.record import load_records, save_records


def rewritten_classes(path):
    """The same images with the first two classes in another order."""
    found = load_images(path)
    replace(found, stored=np.array(found.images), file=None, classes=(*found.classes[1::-1], *found.classes[2:])).save(
        path
    )


def smaller(path):
    found = load_images(path)
    replace(found, stored=np.ascontiguousarray(found.images[..., 1:]), file=None).save(path)


def fewer(path):
    load_images(path).select(np.arange(100)).save(path)


def trained_longer(path):
    card, state = load_weights(path)
    save_weights(path, {key: tensor * 1.01 for key, tensor in state.items()}, card)


def renamed(path):
    card, state = load_weights(path)
    save_weights(path, state, card.model_copy(update={"model": "I" if card.model == "II" else "II"}))


def grown_elsewhere(path):
    card, state = load_weights(path)
    save_weights(path, state, card.model_copy(update={"grown_from": "0" * 64}))


def without_eigenvalues(path):
    replace(load_statistics(path), eigenvalues=()).save(path)


def of_another_mean(path):
    replace(load_statistics(path), mean=(0.25,)).save(path)


def of_another_start(path):
    replace(load_history(path), start="0" * 64).save(path)


def without_models(path):
    save_records(path, [])


def of_other_weights(path):
    records = load_records(path)
    save_records(path, [*records[:-1], replace(records[-1], weights="0" * 64)])


def without_results(path):
    replace(load_ladder_results(path), records=[]).save(path)


def of_another_depth(path):
    replace(load_ladder_results(path), depth="II").save(path)


def of_other_results(path):
    results = load_ladder_results(path)
    replace(results, records=[*results.records[:-1], replace(results.last, weights="0" * 64)]).save(path)


def of_another_source(path):
    results = load_ladder_results(path)
    replace(results, records=[replace(results.records[0], weights="0" * 64), *results.records[1:]]).save(path)


def cut_predictions(path):
    found = load_predictions(path)
    replace(found, actual=found.actual[:-1]).save(path)


def of_another_training(path):
    replace(load_images(path), origin="0" * 64).save(path)


TRAIN, TEST, VALIDATION = (f"data/{part}.safetensors" for part in ("train", "test", "validation"))
INIT, WEIGHTS, STATISTICS = "weights/init/II.safetensors", "weights/II.safetensors", "data/statistics.json"
RESULTS, SALIENCY = "reports/models.json", "reports/saliency.safetensors"
CASES = [
    (
        "transfer II",
        STATISTICS,
        without_eigenvalues,
        f"{STATISTICS}: its mean, eigenvalues and eigenvectors differ in length",
    ),
    ("transfer II", TRAIN, fewer, f"{STATISTICS}: number of images 809, but 100 in {TRAIN}"),
    (
        "transfer II",
        TRAIN,
        rewritten_classes,
        r"weights/I\.safetensors: classes 0, 1, 2, .* but 1, 0, 2, .* in data/train",
    ),
    ("transfer II", "weights/I.safetensors", renamed, r"weights/I\.safetensors: model II, but I in params\.yaml"),
    ("train II", INIT, renamed, rf"{INIT}: model I, but II in params\.yaml"),
    ("train II", VALIDATION, rewritten_classes, f"{VALIDATION}: classes 1, 0, .* in {TRAIN}"),
    ("train II", VALIDATION, smaller, f"{VALIDATION}: image shape 1, 8, 7, but 1, 8, 8 in {TRAIN}"),
    ("train II", TRAIN, fewer, f"{STATISTICS}: number of images"),
    ("train II", STATISTICS, of_another_mean, f"{INIT}: mean .*, but 0.25 in {STATISTICS}"),
    ("evaluate II", TEST, rewritten_classes, f"{WEIGHTS}: classes .* in {TEST}"),
    ("evaluate II", TEST, smaller, f"{WEIGHTS}: image shape 1, 8, 8, but 1, 8, 7 in {TEST}"),
    ("evaluate II", WEIGHTS, trained_longer, f"curves/II.json: checksum of the weights .* in {WEIGHTS}"),
    ("evaluate II", WEIGHTS, grown_elsewhere, f"{WEIGHTS}: checksum of what it grew from 0+, but"),
    ("evaluate II", "records/I.json", of_other_weights, f"{WEIGHTS}: checksum of what it grew from"),
    ("evaluate II", "curves/II.json", of_another_start, "transfers/II.json: checksum of the start"),
    ("collect", "records/III.json", without_models, "records/III.json: has no results of III; remove it and run"),
    ("saliency", "records/III.json", without_models, r"records/III\.json: last model none, but III in params\.yaml"),
    ("report", SALIENCY, of_another_training, f"{SALIENCY}: checksums of the weights 0+, but"),
    ("report", RESULTS, without_results, f"{RESULTS}: has no results of III; remove it and run dvc repro"),
    ("report", RESULTS, of_another_depth, rf"{RESULTS}: depth II, but III in params\.yaml"),
    ("report", RESULTS, of_another_source, f"{RESULTS}: checksum of what a model grew from"),
    ("report", RESULTS, of_other_results, f"{RESULTS}: checksum of the weights"),
    ("report", "weights/III.safetensors", trained_longer, f"{RESULTS}: checksum of the weights"),
    ("report", "weights/init/III.safetensors", trained_longer, f"{RESULTS}: checksum of the start"),
    (
        "report",
        "curves/III-examples.safetensors",
        of_another_training,
        "curves/III-examples.*: checksum of the weights 0+",
    ),
    ("report", "predictions/III.json", cut_predictions, "predictions/III.json: its lists differ in length"),
    (
        "report",
        "predictions/III-mistakes.safetensors",
        rewritten_classes,
        "predictions/III-mistakes.safetensors: classes",
    ),
]


@pytest.mark.parametrize(
    ("words", "name", "change", "told"), CASES, ids=[f"{words}: {c.__name__} {n}" for words, n, c, _ in CASES]
)
def test_a_stage_names_files_that_do_not_belong_together(project, words, name, change, told):
    change(project.path / name)
    before = project.files()
    done = project.run(f"python -m pipeline.{words}")
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert re.search(f"^error: {told}", done.stderr, re.M), done.stderr
    assert all(re.search("rm -f|remove .* and run dvc repro$", line) for line in done.stderr.splitlines())
    assert project.files() == before


def test_dvc_repro_rewrites_files_that_do_not_belong_together(built, project):
    for _, name, change, _ in CASES[::3]:
        if project.files()[name] == built.files()[name]:
            change(project.path / name)
    project("dvc repro")
    assert project.files() == built.files()
