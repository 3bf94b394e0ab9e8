"""What a transfer did with each tensor: as values, as a table for people, as lists for a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

from tabulate import tabulate

from deepen.checksums import read_checked_json, write_checked_json
from deepen.layers import Shape

Fate = Literal["copied", "fresh", "dropped"]


@dataclass(frozen=True)
class TensorFate:
    """What became of one tensor: `copied` (source -> target), `fresh` (target only) or `dropped` (source only)."""

    fate: Fate
    source: str | None
    target: str | None
    shape: Shape
    start: str | None = None  # how a fresh tensor starts

    @property
    def parameters(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class TransferReport:
    """The fate of every tensor of both networks, in the order of the target's layers, what was dropped last."""

    tensors: tuple[TensorFate, ...]

    def count(self, fate: Fate) -> tuple[int, int]:
        """How many tensors, and how many parameters in them, met this fate."""
        sizes = [tensor.parameters for tensor in self.tensors if tensor.fate == fate]
        return len(sizes), sum(sizes)

    def with_starts(self, starts: Mapping[str, str]) -> "TransferReport":
        """The same report with how each fresh role starts written beside its tensors."""
        return TransferReport(
            tuple(
                replace(tensor, start=starts[tensor.target.rpartition(".")[0]])
                if tensor.fate == "fresh" and tensor.target
                else tensor
                for tensor in self.tensors
            )
        )


def as_table(report: TransferReport) -> str:
    """The report for people: a line a tensor, and what was copied, fresh and dropped in all."""
    rows = [
        (
            fate.target or "-",
            fate.fate,
            fate.source or fate.start or "",
            "x".join(map(str, fate.shape)),
            fate.parameters,
        )
        for fate in report.tensors
    ]
    totals = [
        f"{fate} {tensors} tensors, {parameters:,} parameters"
        for fate in get_args(Fate)
        for tensors, parameters in [report.count(fate)]
    ]
    return tabulate(rows, ["tensor", "fate", "from", "shape", "parameters"], intfmt=",") + "\n" + "; ".join(totals)


def as_metrics(report: TransferReport) -> dict[str, list[dict[str, Any]]]:
    """The report for files, as lists, which DVC leaves out of its table of metrics: that is for accuracy."""
    return {
        "counts": [
            {"fate": fate, "tensors": tensors, "parameters": parameters}
            for fate in get_args(Fate)
            for tensors, parameters in [report.count(fate)]
        ],
        "tensors": [asdict(fate) for fate in report.tensors],
    }


@dataclass(frozen=True)
class Transferred:
    """What a transfer's file says: the checksum of the weights that came of it, in a list, and the fate of each tensor.

    A first model that starts from a file has its name in `start`.
    """

    weights: tuple[str]
    counts: list[dict[str, Any]]
    tensors: list[TensorFate]
    start: tuple[str] | None = None


def save_transfer(path: Path, report: TransferReport, weights: str, start: str | None) -> None:
    """Write the report of a transfer as JSON."""
    origin = {"start": [start]} if start else {}
    write_checked_json(path, {**origin, "weights": [weights], **as_metrics(report)})


def load_transfer(path: Path) -> Transferred:
    """Read what `save_transfer` wrote; raises InputError where the file is not that."""
    return read_checked_json(path, Transferred)
