"""Links from trainings to their runs in a tracker: files beside the checkpoints, on this machine."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deepen.core.errors import InputError
from deepen.core.files import read_json, write_text


@dataclass(frozen=True)
class Link:
    """The run of a training: its id, the epochs that it has, and the checksum of the weights once they are trained."""

    run: str
    epochs: int = 0
    weights: str = ""


class Links:
    """The links of all trainings to the runs of one tracker, in a folder."""

    def __init__(self, folder: Path, tracking: str) -> None:
        self._folder, self._suffix = folder, f".{tracking}.json"

    def load(self, training: str) -> Link | None:
        """Return the link of a training; None if it has none, or an invalid one."""
        return _read(self._get_path(training))

    def save(self, training: str, link: Link) -> None:
        """Write the link of a training."""
        write_text(self._get_path(training), json.dumps(asdict(link)) + "\n")

    def find_training(self, weights: str) -> str | None:
        """Return the last training that ended in weights with this checksum; None if it is unknown."""
        paths = sorted(self._folder.glob(f"*{self._suffix}"), key=lambda path: path.stat().st_mtime, reverse=True)
        found = ((path.name.removesuffix(self._suffix), _read(path)) for path in paths)
        return next((training for training, link in found if link and link.weights == weights), None)

    def _get_path(self, training: str) -> Path:
        return self._folder / f"{training}{self._suffix}"


def _read(path: Path) -> Link | None:
    try:
        return read_json(path, Link)
    except InputError:
        return None
