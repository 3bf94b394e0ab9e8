"""Channel mean and colour principal components of the training images."""

from deepen.images import load_images
from deepen.statistics import compute_statistics
from pipeline import files, require_unchanged, run


def statistics() -> None:
    found = compute_statistics(load_images(files.TRAIN).images)
    require_unchanged()
    found.save(files.STATISTICS)
    print(f"mean {found.mean}, eigenvalues {found.eigenvalues}")


if __name__ == "__main__":
    run(statistics)
