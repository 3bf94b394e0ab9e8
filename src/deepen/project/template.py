"""The files of a new project, made from those of the repository, for an installed package in place of src/."""

import io
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

from deepen import __version__
from deepen.core.errors import InputError
from deepen.project.file_list import PACKAGED, list_project_files

INSTALLED = "data/installed"  # the outputs of the stage `installed`, by which stages depend on packages of the library
_LIBRARY = "src/deepen/"
_NOT_HERE = (
    "/study/",
    "/build/",
    "/dist/",
    "/site/",
)  # what the repository's .gitignore names, and a project does not have
_HEADER = """\
# Each stage runs pipeline/<stage>.py. Its deps list the scripts that it imports and, as data/installed/<package>.txt,
# checksums of the packages of the installed library. So an upgrade that changes a package makes the stages that use it
# out of date.
"""


def read_template() -> dict[Path, bytes]:
    """Return the contents of a new project's files, by path; raises InputError if this installation lacks them."""
    root = _find_files()
    try:
        contents = {path: (root / path).read_bytes() for path in list_project_files(root)}
    except OSError as error:
        raise InputError(f"deepen: its installation lacks files of a project ({error}); install it again") from error
    dvc, ignore = Path("dvc.yaml"), Path(".gitignore")
    return contents | {
        dvc: _use_installed_library(contents[dvc].decode()).encode(),
        ignore: _keep_lines(contents[ignore].decode()).encode(),
    }


def _find_files() -> Path:
    """Return the folder of the files: in the installed package, or the repository of an editable install."""
    packaged = Path(__file__).with_name(PACKAGED)
    return packaged if packaged.is_dir() else Path(__file__).parents[3]


def _keep_lines(ignored: str) -> str:
    return "".join(line for line in ignored.splitlines(keepends=True) if not line.startswith(_NOT_HERE))


def _use_installed_library(text: str) -> str:
    """Return a dvc.yaml whose stages depend on checksums of the installed library's packages, in place of src/."""
    yaml = YAML()
    yaml.width = 1_000_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(text)
    packages: set[str] = set()
    for stage in content["stages"].values():
        stage = stage.get("do", stage)
        packages |= _replace_library(stage["deps"])
    content["stages"].insert(0, "installed", _make_stage(sorted(packages)))
    file = io.StringIO()
    yaml.dump(content, file)
    return re.sub(r"^# Each stage runs pipeline/<stage>\.py\..*\n", _HEADER, file.getvalue(), flags=re.MULTILINE)


def _replace_library(deps: Any) -> set[str]:
    """Replace the code in src/deepen by the checksums of its packages; return the names of the packages."""
    library = [dep for dep in deps if dep.startswith(_LIBRARY)]
    packages = dict.fromkeys(PurePosixPath(dep.removeprefix(_LIBRARY)).parts[0] for dep in library)
    for dep in library:
        deps.remove(dep)
    deps += [_get_checksums(package) for package in packages]
    return set(packages)


def _get_checksums(package: str) -> str:
    return f"{INSTALLED}/{package}.txt"


def _make_stage(packages: list[str]) -> Mapping[str, object]:
    return {
        "cmd": f"python -m pipeline.installed {__version__}",
        "desc": "Checksums of the installed library's code; runs each time and takes a moment",
        "always_changed": True,
        "deps": ["pipeline/installed.py", "pipeline/shared"],
        "outs": [_get_checksums(package) for package in packages],
    }
