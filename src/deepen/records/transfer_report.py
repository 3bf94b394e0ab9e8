"""Transfer report: which tensors were copied, new (fresh) or dropped, as objects, as text and as a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Literal, get_args

from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.counts import pluralize
from deepen.models.layers import Shape

TransferKind = Literal["copied", "fresh", "dropped"]


@dataclass(frozen=True)
class TensorTransfer:
    """Describe what a transfer did with one tensor.

    Attributes
    ----------
    kind : {"copied", "fresh", "dropped"}
        Copied from source to target, only in the target, or only in the source.
    source, target : str or None
        Its keys in the state dicts.
    shape : tuple of int
    start : str or None
        The initialization of a fresh tensor, for example `identity`.
    """

    kind: TransferKind
    source: str | None
    target: str | None
    shape: Shape
    start: str | None = None

    @property
    def parameters(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class TransferReport:
    """List what a transfer did with every tensor of two networks.

    Attributes
    ----------
    tensors : tuple of TensorTransfer
        In the order of the target's layers; dropped ones last.
    """

    tensors: tuple[TensorTransfer, ...]

    def count(self, kind: TransferKind) -> tuple[int, int]:
        """Return the number of tensors of this kind, and of their parameters."""
        sizes = [tensor.parameters for tensor in self.tensors if tensor.kind == kind]
        return len(sizes), sum(sizes)

    def with_starts(self, starts: Mapping[str, str]) -> "TransferReport":
        """Return the report with the initialization of each fresh role added to its tensors."""
        return TransferReport(
            tuple(
                replace(tensor, start=starts[tensor.target.rpartition(".")[0]])
                if tensor.kind == "fresh" and tensor.target
                else tensor
                for tensor in self.tensors
            )
        )


def format_report(report: TransferReport) -> str:
    """Return the report as text, for example `10 tensors copied, 6 new (identity)`."""
    starts = dict.fromkeys(tensor.start for tensor in report.tensors if tensor.kind == "fresh" and tensor.start)
    words = {"copied": "copied", "fresh": f"new ({', '.join(starts)})", "dropped": "dropped"}
    kinds = [(count, kind) for kind in get_args(TransferKind) if (count := report.count(kind)[0])]
    parts = [f"{count if at else pluralize(count, 'tensor')} {words[kind]}" for at, (count, kind) in enumerate(kinds)]
    return ", ".join(parts)


def count_by_kind(report: TransferReport) -> dict[str, int]:
    """Count the tensors and parameters of each kind: `copied_tensors`, `copied_parameters` and so on."""
    return {
        f"{kind}_{what}": count
        for kind in get_args(TransferKind)
        for what, count in zip(("tensors", "parameters"), report.count(kind), strict=True)
    }


@dataclass(frozen=True)
class TransferRecord:
    """The content of a transfer file: counts, the checksum of the resulting weights, and what happened to each tensor.

    `start` has the name of the weights file that a first model starts from.
    """

    copied_tensors: int
    copied_parameters: int
    fresh_tensors: int
    fresh_parameters: int
    dropped_tensors: int
    dropped_parameters: int
    weights: tuple[str]
    tensors: list[TensorTransfer]
    start: tuple[str] | None = None


def save_transfer(path: Path, report: TransferReport, weights: str, start: str | None) -> None:
    """Write a transfer report as JSON; `dvc metrics show` displays the numbers, and the lists follow them."""
    origin = {"start": [start]} if start else {}
    tensors = [asdict(transfer) for transfer in report.tensors]
    write_checked_json(path, {**count_by_kind(report), **origin, "weights": [weights], "tensors": tensors})


def load_transfer(path: Path) -> TransferRecord:
    """Read a file of `save_transfer`; raises InputError if it is invalid."""
    return read_checked_json(path, TransferRecord)
