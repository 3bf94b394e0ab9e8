"""Stage `installed`, in a project of `deepen init`: checksums of the packages on which the other stages depend."""

import sys
from pathlib import Path

import deepen
from deepen.core.files import write_text
from pipeline.shared.packages import find_package, list_checksums
from pipeline.shared.stage import get_inputs, require_unchanged, run


def installed(version: str) -> None:
    """Write the checksums; `version` is that of the library with which pipeline/ and dvc.yaml were made."""
    require_unchanged()
    for path in map(Path, (get_inputs().stage or {}).get("outs", ())):
        if package := find_package(path):
            write_text(path, list_checksums(package))
    if version != deepen.__version__:
        print(
            f"warning: pipeline/ and dvc.yaml are of deepen {version}, and {deepen.__version__} is installed; if a "
            "stage fails, run deepen init with a new folder, and copy both from there",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run(installed)
