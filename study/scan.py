"""Stage of the studies: list the source files of the images, so that DVC runs `prepare` again when they change."""

from deepen.config.settings import load_settings
from deepen.datasets.source import save_source
from pipeline.shared.stage import require_unchanged, run
from study.settings import PROJECT, SOURCE, load_studies


def scan() -> None:
    settings = load_settings()
    require_unchanged()
    save_source(settings.datasets[load_studies(settings).data], PROJECT, SOURCE)


if __name__ == "__main__":
    run(scan)
