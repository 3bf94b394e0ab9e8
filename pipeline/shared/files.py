"""Paths of the stages' files, the same as in dvc.yaml."""

from pathlib import Path

TRAIN, VALIDATION, TEST = (Path(f"data/{part}.safetensors") for part in ("train", "validation", "test"))
SOURCE = Path("data/source.json")
STATISTICS = Path("data/statistics.json")
NOTES = Path("data/notes.txt")
RESULTS = Path("reports/models.json")
SALIENCY = Path("reports/saliency.safetensors")
PARAMS = Path("params.yaml")


def init(model: str) -> Path:
    """A model's initial weights."""
    return Path(f"weights/init/{model}.safetensors")


def weights(model: str) -> Path:
    """A model's trained weights."""
    return Path(f"weights/{model}.safetensors")


def transfer(model: str) -> Path:
    """The transfer report: where each tensor came from, or why it was dropped."""
    return Path(f"transfers/{model}.json")


def history(model: str) -> Path:
    """A model's training history."""
    return Path(f"curves/{model}.json")


def examples(model: str) -> Path:
    """Training images, original and augmented."""
    return Path(f"curves/{model}-examples.safetensors")


def live(model: str) -> Path:
    """Live curves: one row per epoch while a model trains."""
    return Path(f"live/{model}/curves.tsv")


def records(model: str) -> Path:
    """The records of a model and of the models it grew from."""
    return Path(f"records/{model}.json")


def predictions(model: str) -> Path:
    """A model's predictions for the test images."""
    return Path(f"predictions/{model}.json")


def mistakes(model: str) -> Path:
    """The misclassified test images with the highest confidence."""
    return Path(f"predictions/{model}-mistakes.safetensors")


def metrics(model: str) -> Path:
    """A model's DVC metrics."""
    return Path(f"metrics/{model}.json")
