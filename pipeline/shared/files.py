"""Where the stages keep their files; dvc.yaml has the same names."""

from pathlib import Path

TRAIN, VALIDATION, TEST = (Path(f"data/{part}.safetensors") for part in ("train", "validation", "test"))
SOURCE = Path("data/source.json")
STATISTICS = Path("data/statistics.json")
NOTES = Path("data/notes.txt")
PARAMS = Path("params.yaml")


def init(model: str) -> Path:
    """The weights that a model starts from."""
    return Path(f"weights/init/{model}.safetensors")


def weights(model: str) -> Path:
    """The weights that a model ended its training with."""
    return Path(f"weights/{model}.safetensors")


def transfer(model: str) -> Path:
    """What became of each tensor."""
    return Path(f"transfers/{model}.json")


def history(model: str) -> Path:
    """How a model was trained."""
    return Path(f"curves/{model}.json")


def examples(model: str) -> Path:
    """Training images as they are and as a model's training may see them."""
    return Path(f"curves/{model}-examples.safetensors")


def live(model: str) -> Path:
    """What each epoch of a model found, while it trains."""
    return Path(f"live/{model}/curves.tsv")


def records(model: str) -> Path:
    """What is known of a model and of all it grew from."""
    return Path(f"records/{model}.json")


def predictions(model: str) -> Path:
    """What a model says of each test image."""
    return Path(f"predictions/{model}.json")


def mistakes(model: str) -> Path:
    """The test images that a model got most wrong."""
    return Path(f"predictions/{model}-mistakes.safetensors")


def metrics(model: str) -> Path:
    """The numbers that DVC shows of a model."""
    return Path(f"metrics/{model}.json")
