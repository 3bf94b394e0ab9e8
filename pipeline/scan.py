"""What the source of the images holds: DVC runs this stage each time, and the others only where it has changed."""

from deepen.datasets.fingerprint import fingerprint

from deepen.checksums import write_checked_json
from deepen.settings import load_settings
from pipeline import BASE, files, require_unchanged, run


def scan() -> None:
    found = fingerprint(load_settings().dataset, BASE)
    require_unchanged()
    write_checked_json(files.SOURCE, found)
    if "files" in found:
        print(f"{found['files']:,} files, {found['bytes']:,} bytes")


if __name__ == "__main__":
    run(scan)
