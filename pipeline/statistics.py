"""Stage `statistics`: channel mean and colour principal components of the training images."""

from deepen.core.counts import pluralize
from deepen.data.images import load_images
from deepen.data.statistics import compute_statistics
from pipeline.shared import files
from pipeline.shared.stage import require_unchanged, run


def write_statistics() -> None:
    statistics = compute_statistics(load_images(files.TRAIN).images)
    require_unchanged()
    statistics.save(files.STATISTICS)
    mean = ", ".join(f"{value:.3f}" for value in statistics.mean)
    print(f"{pluralize(statistics.images[0], 'training image')}: channel mean {mean} (0 is black, 1 is white)")


if __name__ == "__main__":
    run(write_statistics)
