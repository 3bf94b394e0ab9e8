"""What the source of the studies' images holds: DVC runs this stage each time, and the others where it has changed."""

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
