"""What the source of the studies' images holds: DVC runs this stage each time, and the others where it has changed."""

from pathlib import Path

from deepen.checksums import write_checked_json
from deepen.datasets.fingerprint import fingerprint
from deepen.settings import load_settings
from pipeline import require_unchanged, run
from study.settings import PROJECT, load_studies


def scan() -> None:
    settings = load_settings()
    found = fingerprint(settings.datasets[load_studies(settings).data], PROJECT)
    require_unchanged()
    write_checked_json(Path("study/data/source.json"), found)


if __name__ == "__main__":
    run(scan)
