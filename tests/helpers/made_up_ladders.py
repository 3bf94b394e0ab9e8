"""Records of made-up ladders, without training, to test reports and tables."""

from dataclasses import replace

import numpy as np
from conftest import LADDER

from deepen.core.names import SCRATCH
from deepen.evaluation.predictions import Predictions
from deepen.models.layers import count_parameters, list_tensor_shapes, plan
from deepen.records.history import Epoch, History
from deepen.records.record import Record, encode_right
from deepen.records.transfer_report import TensorTransfer

NAMES = tuple(LADDER)


def predictions(classes, images=200, right=0.8, seed=0):
    """Return predictions of a model, with mistakes, on images of so many classes."""
    actual = np.random.default_rng(0).integers(0, classes, images)  # the same images for every model
    rng = np.random.default_rng(seed)
    wrong = (actual + rng.integers(1, classes, images)) % classes
    predicted = np.where(rng.random(images) < right, actual, wrong)
    return Predictions(actual.tolist(), predicted.tolist(), rng.uniform(0.5, 1, images).round(4).tolist())


def ladder(models=3, classes=10, image=(3, 8, 8), source="digits", width=0.25, data="mine", seed=0):
    """Return records of the first `models` of the ladder, and predictions of the deepest."""
    records, before = [], {}
    for name in NAMES[:models]:
        layers = plan(LADDER[name], width=width, image=image, classes=classes)
        said = predictions(classes, seed=seed + len(records))
        records.append(_record(name, layers, before, said, classes, image, source, width, data))
        before = list_tensor_shapes(layers)
    return records, said


def branches(**options):
    """Return records of I, and of II and III that both grew from it, as in a ladder with branches."""
    (one, two, three), said = ladder(3, **options)
    return [one, two, replace(three, after="I", grown_from="I")], said


def _record(name, layers, before, said, classes, image, source, width, data):
    transfers = [
        TensorTransfer("copied", key, key, shape) if key in before else TensorTransfer("fresh", None, key, shape, "identity" if before else "random")
        for key, shape in list_tensor_shapes(layers).items()
    ]  # fmt: skip
    right = sum(a == p for a, p in zip(said.actual, said.predicted, strict=True))
    images = len(said.actual)
    correct = [min(images, right + 5 * k) for k in range(min(classes, 5))]
    epochs = [Epoch(i, 0.01 / i, 2.0 / i, 2.2 / i, 60.0 + 4 * i) for i in range(1, 5)]
    recipe = {"lr": 0.03, "grown_lr": 0.6, "optimizer": {"name": "muon"}, "batch_size": 50}
    made_by = {"training": recipe, "peak_lr": 0.01, "epochs": 4, "seed": 0, "crop": 0.125}
    return Record(
        model=name,
        after=NAMES[NAMES.index(name) - 1] if before else SCRATCH,
        layers=LADDER[name],
        norm="none",
        width=width,
        image=image,
        classes=classes,
        parameters=count_parameters(layers),
        tensors=transfers,
        training=History(made_by, {"PyTorch": "2.0"}, images=100, learned=400, start=name, weights=name, epochs=epochs, validation_images=20),
        data=data,
        source=source,
        test_images=images,
        correct=correct,
        confusion=said.confusion(),
        metrics={f"top{k}": 100 * n / images for k, n in enumerate(correct, 1)} | {"balanced_top1": said.balanced(), "loss": 0.5},
        weights=name, grown_from=None, right=encode_right(said.right()), recipe="onecycle",
    )  # fmt: skip
