"""A run in TensorBoard: a folder of event files in runs/."""

import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from deepen.tracking.run import ACCURACY, Outcome, Row, Run, Scalar

FOLDER = "runs"


class TensorBoardRun(Run):
    """A run in a folder that its SummaryWriter writes; TensorBoard has no artifacts, so files are only named."""

    def __init__(self, project: Path, name: str, id: str | None) -> None:
        root = project / FOLDER
        self.is_new = id is None or not (root / id).is_dir()
        self.id = id if id and not self.is_new else _make_folder(root, name)
        self._folder = root / self.id
        self._epochs = self._read_epochs()
        # hides what a killed process wrote of a further epoch
        self._writer = SummaryWriter(str(self._folder), purge_step=self._epochs + 1)

    def log_settings(self, settings: Mapping[str, Scalar]) -> None:
        rows = "".join(f"| {name} | {value} |\n" for name, value in settings.items())
        self._writer.add_text("settings", f"| setting | value |\n| --- | --- |\n{rows}")
        self._writer.flush()

    def count_epochs(self, known: int) -> int:
        return self._epochs

    def _read_epochs(self) -> int:
        events = EventAccumulator(str(self._folder), size_guidance={"scalars": 0}).Reload()
        has_epochs = ACCURACY in events.Tags()["scalars"]
        return max(event.step for event in events.Scalars(ACCURACY)) if has_epochs else 0

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def log_results(self, epoch: int, metrics: Mapping[str, float], settings: Mapping[str, Scalar]) -> None:
        """Store the metrics, and beside them the settings, for the table of the HParams plugin."""
        self._writer.add_hparams(dict(settings), dict(metrics), run_name=".", global_step=epoch)

    def log_table(self, name: str, rows: Sequence[Row], text: str, epoch: int) -> None:
        self._writer.add_text(name, text, epoch)

    def log_file(self, path: Path, kind: str) -> None:
        self._writer.add_text(f"files/{kind}", f"`{path}`")

    def close(self, outcome: Outcome) -> None:
        self._writer.close()


def _make_folder(root: Path, name: str) -> str:
    """Make a new folder, named after the model and the time."""
    for attempt in count():
        folder = root / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}{f'-{attempt}' if attempt else ''}"
        try:
            folder.mkdir(parents=True)
            return folder.name
        except FileExistsError:
            continue
    raise AssertionError
