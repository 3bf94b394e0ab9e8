"""Files of a stage that must belong together: each is sound by itself, and may still be of another run."""

from collections.abc import Iterable
from pathlib import Path

from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics

Claim = tuple[str, tuple[Path, object], tuple[Path | str, object]]  # what, whose and which, whose and which


def require_agreement(claims: Iterable[Claim]) -> None:
    """Raise InputError with every claim whose two values differ: `what` of a file, and of another or of a setting."""
    faults = [
        f"{path}: {what} {_brief(value)}, but {_brief(expected)} in {origin}: the two do not belong together; "
        f"remove {_named(path, origin)} and run dvc repro"
        for what, (path, value), (origin, expected) in claims
        if value != expected
    ]
    if faults:
        raise InputError(faults)


def statistics_claims(path: Path, statistics: Statistics, of: Path, images: ImageSet) -> list[Claim]:
    """That statistics are those of a set of images."""
    return [
        ("number of channels", (path, len(statistics.mean)), (of, images.shape[0])),
        ("number of images", (path, statistics.images[0]), (of, len(images))),
    ]


def _named(path: Path, origin: Path | str) -> str:
    """The file, and the other one where that is not settings."""
    both = isinstance(origin, Path) and origin != path and origin.suffix != ".yaml"
    return f"{path} and {origin}" if both else str(path)


def _brief(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
