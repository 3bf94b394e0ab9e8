"""Consistency checks between a stage's input files: each may be valid by itself and still be of another run."""

from collections.abc import Iterable
from pathlib import Path

from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics

Claim = tuple[str, tuple[Path, object], tuple[Path | str, object]]  # quantity, file and value, file and value


def require_agreement(claims: Iterable[Claim]) -> None:
    """Raise InputError with every claim whose two values differ: of a file, and of another file or a setting."""
    faults = [
        f"{path}: {quantity} {_shorten(value)}, but {_shorten(expected)} in {origin}: the two do not match; "
        f"remove {_list_files(path, origin)} and run dvc repro"
        for quantity, (path, value), (origin, expected) in claims
        if value != expected
    ]
    if faults:
        raise InputError(faults)


def compare_statistics(path: Path, statistics: Statistics, origin: Path, images: ImageSet) -> list[Claim]:
    """Return the claims that statistics were computed from a set of images."""
    return [
        ("number of channels", (path, len(statistics.mean)), (origin, images.shape[0])),
        ("number of images", (path, statistics.images[0]), (origin, len(images))),
    ]


def _list_files(path: Path, origin: Path | str) -> str:
    """Name the files to remove: the first, and the second unless it is a settings file."""
    both = isinstance(origin, Path) and origin != path and origin.suffix != ".yaml"
    return f"{path} and {origin}" if both else str(path)


def _shorten(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
