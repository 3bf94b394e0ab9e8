"""Stage of the studies: checksums of the packages on which the other stages depend."""

from pathlib import Path

from deepen.core.files import write_text
from pipeline.shared.packages import find_package, list_checksums
from pipeline.shared.stage import get_inputs, require_unchanged, run


def code() -> None:
    require_unchanged()
    for name in (get_inputs().stage or {}).get("outs", ()):
        path = Path("study") / name
        if package := find_package(path):
            write_text(path, list_checksums(package))


if __name__ == "__main__":
    run(code)
