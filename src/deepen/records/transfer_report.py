"""What a transfer did with each tensor: as values, as a line for people, as a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Literal, get_args

from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.counts import counted
from deepen.models.layers import Shape

Fate = Literal["copied", "fresh", "dropped"]


@dataclass(frozen=True)
class TensorFate:
    """Say what became of one tensor.

    Attributes
    ----------
    fate : {"copied", "fresh", "dropped"}
        From source to target, in the target only, or in the source only.
    source, target : str or None
        Its state-dict keys.
    shape : tuple of int
    start : str or None
        How a fresh tensor starts, for example `identity`.
    """

    fate: Fate
    source: str | None
    target: str | None
    shape: Shape
    start: str | None = None

    @property
    def parameters(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class TransferReport:
    """List what became of every tensor of two networks.

    Attributes
    ----------
    tensors : tuple of TensorFate
        In the order of the target's layers; dropped ones last.
    """

    tensors: tuple[TensorFate, ...]

    def count(self, fate: Fate) -> tuple[int, int]:
        """Count the tensors, and the parameters in them, that were `copied`, `fresh` or `dropped`."""
        sizes = [tensor.parameters for tensor in self.tensors if tensor.fate == fate]
        return len(sizes), sum(sizes)

    def with_starts(self, starts: Mapping[str, str]) -> "TransferReport":
        """Return the report with how each fresh role starts written beside its tensors."""
        return TransferReport(
            tuple(
                replace(tensor, start=starts[tensor.target.rpartition(".")[0]])
                if tensor.fate == "fresh" and tensor.target
                else tensor
                for tensor in self.tensors
            )
        )


def as_line(report: TransferReport) -> str:
    """The report for people, for example `10 tensors copied, 6 new (identity)`."""
    starts = dict.fromkeys(tensor.start for tensor in report.tensors if tensor.fate == "fresh" and tensor.start)
    words = {"copied": "copied", "fresh": f"new ({', '.join(starts)})", "dropped": "dropped"}
    found = [(count, fate) for fate in get_args(Fate) if (count := report.count(fate)[0])]
    told = [f"{count if at else counted(count, 'tensor')} {words[fate]}" for at, (count, fate) in enumerate(found)]
    return ", ".join(told)


def counts(report: TransferReport) -> dict[str, int]:
    """How many tensors and parameters met each fate: `copied_tensors`, `copied_parameters` and so on."""
    return {
        f"{fate}_{what}": count
        for fate in get_args(Fate)
        for what, count in zip(("tensors", "parameters"), report.count(fate), strict=True)
    }


@dataclass(frozen=True)
class Transferred:
    """What a transfer's file says: the checksum of the weights that came of it, in a list, and the fate of each tensor.

    A first model that starts from a file has its name in `start`. The counts are of the tensors.
    """

    copied_tensors: int
    copied_parameters: int
    fresh_tensors: int
    fresh_parameters: int
    dropped_tensors: int
    dropped_parameters: int
    weights: tuple[str]
    tensors: list[TensorFate]
    start: tuple[str] | None = None


def save_transfer(path: Path, report: TransferReport, weights: str, start: str | None) -> None:
    """Write the report of a transfer as JSON: numbers, which `dvc metrics show` shows of it, before lists."""
    origin = {"start": [start]} if start else {}
    tensors = [asdict(fate) for fate in report.tensors]
    write_checked_json(path, {**counts(report), **origin, "weights": [weights], "tensors": tensors})


def load_transfer(path: Path) -> Transferred:
    """Read what `save_transfer` wrote; raises InputError where the file is not that."""
    return read_checked_json(path, Transferred)
