"""Curves that can be watched while a model trains: by `dvc plots show`, the VS Code extension and DVC Studio."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from dvclive.live import Live

from deepen.history import Epoch
from deepen.writing import cannot_write


class LiveCurves:
    """A context that writes what each epoch found into `folder`, a table a metric, as DVCLive lays them out.

    The history is handed in anew after an interruption, since DVC clears the folder and DVCLive would repeat rows.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # dvc.yaml stays as it is, and no experiment is made of a stage that may be part of one.
        self._live = Live(dir=str(folder), dvcyaml=None, save_dvc_exp=False, monitor_system=False)

    def start(self, history: Sequence[Epoch]) -> None:
        """Write the epochs of an earlier process."""
        for row in history:
            self.add(row)

    def add(self, row: Epoch) -> None:
        """Write an epoch; raises InputError where the disk does not take it."""
        self._live.step = row.epoch
        try:
            for name, value in asdict(row).items():
                if name != "epoch":
                    self._live.log_metric(name, value)
            self._live.make_summary()  # type: ignore[no-untyped-call]
        except OSError as error:
            raise cannot_write(self._folder, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._live.end()  # type: ignore[no-untyped-call]
