"""Runs of a comparison, one line of JSON each, so that a stopped comparison can resume."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.accuracy.arms import Arm, Comparison
from benchmarks.accuracy.training import Result
from deepen.core.errors import InputError
from deepen.data.images import ImageSet

Row = dict[str, Any]
_NOT_TRAINED_WITH = {"threads", "device", "progress", "tracking", "checkpoint_seconds", "val_fraction", "saliency"}


class Run(NamedTuple):
    """One training: an arm, a budget (PFLOP), a seed, and checksums of the settings and the images."""

    arm: str
    budget: float
    seed: int
    settings: str
    images: str

    @property
    def key(self) -> Row:
        """The fields that identify a recorded run."""
        return self._asdict()


def list_runs(comparison: Comparison, images: str) -> Iterator[Run]:
    """List all runs of a comparison: seed by seed, and small budgets first, so that arms grow alike."""
    budgets = sorted(comparison.budgets.items(), key=lambda item: float(item[0]))
    each = [
        (name, float(budget), seeds, hash_settings(arm, float(budget)))
        for (budget, seeds), (name, arm) in product(budgets, comparison.arms.items())
    ]
    for seed in range(max(comparison.budgets.values())):
        yield from (Run(name, budget, seed, checksum, images) for name, budget, seeds, checksum in each if seed < seeds)


def hash_settings(arm: Arm, budget: float) -> str:
    """Return a checksum of all that an arm trains with at a budget, not of data sets and recipes that it leaves out."""
    if arm.peer:
        content: Row = {"peer": arm.load_recipe(budget).model_dump(), "width": arm.get_width(budget)}
    else:
        settings = arm.load_settings(budget, 0)
        content = settings.model_dump(exclude={*_NOT_TRAINED_WITH, "datasets", "recipes"})
        content |= {"dataset": settings.dataset.model_dump(exclude={"width"}), "width": settings.network_width}
        content |= {"training": settings.training.model_dump(), "evaluation": settings.evaluation.model_dump()}
    content["precision"] = arm.precision
    return _hash(json.dumps(content, sort_keys=True).encode())


def hash_images(*sets: ImageSet) -> str:
    """Return a checksum of the images and labels of training and scoring."""
    return _hash(*(array.tobytes() for each in sets for array in (each.images, each.labels)))


def _hash(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def read_rows(path: Path) -> list[Row]:
    """Read recorded runs; none if the file is missing. Raises InputError for a line that is not a run."""
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {*Run._fields, *Result.__annotations__, "device"} <= row.keys():
            raise InputError(f"{path}: line {number} is not a run of this program; remove that line")
        rows.append(row)
    return rows


def find_row(run: Run, rows: Sequence[Row]) -> Row | None:
    """Return the record of a run, or None."""
    return next((row for row in rows if row | run.key == row), None)


def record(path: Path, run: Run, result: Result, training_images: int, device: torch.device) -> Row:
    """Append a run to the file; return its record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    made_by = {"training_images": training_images, "device": name, "torch": torch.__version__}
    row: Row = run.key | asdict(result) | made_by
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row
