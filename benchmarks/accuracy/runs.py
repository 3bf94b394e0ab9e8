"""Runs of a comparison, one line of JSON each, so that a stopped comparison can resume."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ConfigDict, ValidationError, create_model

from benchmarks.accuracy.arms import Arm, Comparison
from benchmarks.accuracy.training import Result
from benchmarks.measure import describe_machine
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, prefix_faults
from deepen.core.regular_files import require_regular
from deepen.core.wording import describe_cause
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


_KINDS = Run.__annotations__ | Result.__annotations__ | {"training_images": int, "device": str, "torch": str}
_FIELDS: dict[str, Any] = {name: (kind, ...) for name, kind in _KINDS.items()}
_Line = create_model("_Line", __config__=ConfigDict(strict=True, allow_inf_nan=False), **_FIELDS)


def list_runs(comparison: Comparison, images: str) -> Iterator[Run]:
    """List all runs of a comparison: seed by seed, and small budgets first, so that arms grow alike."""
    budgets = sorted(comparison.budgets.items(), key=lambda item: float(item[0]))
    each = []
    for (budget, seeds), (name, arm) in product(budgets, comparison.arms.items()):
        with prefix_faults(f"arms.{name}"):
            each.append((name, float(budget), seeds, hash_settings(arm, float(budget))))
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
    require_regular(path, "name a file such as runs.jsonl")
    rows = []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read ({describe_cause(error)}); name another file") from error
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_Line.model_validate_json(line).model_dump())
        except ValidationError as error:
            raise InputError(f"{path}: line {number} is not a run of this program; remove that line") from error
    return rows


def find_row(run: Run, rows: Sequence[Row]) -> Row | None:
    """Return the record of a run, or None."""
    return next((row for row in rows if row | run.key == row), None)


def record(path: Path, run: Run, result: Result, training_images: int, device: torch.device) -> Row:
    """Append a run to the file; return its record."""
    row: Row = run.key | asdict(result) | {"training_images": training_images} | describe_device(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.exists() and path.read_text()[-1:] not in ("", "\n")
    with path.open("a") as file:
        file.write(("\n" if unfinished else "") + json.dumps(row) + "\n")
    return row


def describe_device(device: torch.device) -> dict[str, str]:
    """Return what the time of a run depends on: the device, on a CPU with the number of threads, and PyTorch."""
    name = str(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        name = f"{describe_machine()['cpu']}, {pluralize(torch.get_num_threads(), 'thread')}"
    return {"device": name, "torch": torch.__version__}


def check_one_machine(rows: Sequence[Row], path: Path, now: Mapping[str, str] | None = None) -> None:
    """Raise InputError if recorded runs, and those to come on `now`, are of several devices or versions of PyTorch."""
    machines = {(row["device"], row["torch"].partition("+")[0]) for row in [*rows, *([now] if now else [])]}
    if len(machines) > 1:
        names = "; ".join(f"{device}, torch {version}" for device, version in sorted(machines))
        raise InputError(
            f"{path}: runs of different machines, whose times differ: {names}; name another file by --runs"
        )
