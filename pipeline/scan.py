"""Stage `scan`: list the source files of the images, so that DVC runs `prepare` again when they change."""

from deepen.config.settings import load_settings
from deepen.datasets.source import save_source
from pipeline.shared import files
from pipeline.shared.stage import BASE, require_unchanged, run


def scan() -> None:
    dataset = load_settings().dataset
    require_unchanged()
    save_source(dataset, BASE, files.SOURCE)


if __name__ == "__main__":
    run(scan)
