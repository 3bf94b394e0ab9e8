"""Channel mean and colour principal components of the training images."""

from pathlib import Path

from deepen.images import load_images
from deepen.statistics import compute_statistics
from pipeline import run


def statistics() -> None:
    found = compute_statistics(load_images(Path("data/train.safetensors")).images)
    found.save(Path("metrics/statistics.json"))
    print(f"mean {found.mean}, eigenvalues {found.eigenvalues}")


if __name__ == "__main__":
    run(statistics)
