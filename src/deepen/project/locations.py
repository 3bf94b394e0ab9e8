"""Where images are, seen from a project: their path in params.yaml, and the line of .gitignore for them."""

import os
import re
from pathlib import Path


def locate_images(images: Path, project: Path) -> str:
    """Return the path of images for a project's params.yaml: absolute if it was given so, else from the project."""
    if images.is_absolute() or str(images).startswith("~"):
        return str(images)
    there = images.absolute()
    return os.path.relpath(there.parent.resolve() / there.name, project.resolve())


def list_ignored(images: Path, project: Path) -> list[str]:
    """Return the lines of a project's .gitignore for images inside the project: large files are not git's."""
    below = os.path.relpath(images.absolute().parent.resolve() / images.absolute().name, project.resolve())
    return [] if Path(below).parts[0] == ".." else ["/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", below)]
