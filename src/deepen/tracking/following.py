"""A callback that logs a training to a tracker."""

from collections.abc import Mapping, Sequence

from deepen.records.history import Epoch
from deepen.tracking.run import Scalar
from deepen.tracking.tracker import Tracker
from deepen.training.callback import Callback


class TrackedTraining(Callback):
    """Opens the run of a training, and logs each epoch."""

    def __init__(self, tracker: Tracker, training: str, settings: Mapping[str, Scalar]) -> None:
        self._tracker, self._training, self._settings = tracker, training, settings

    def start(self, steps: int, history: Sequence[Epoch]) -> None:
        """Open the run, or continue that of the interrupted training."""
        self._tracker.open(self._training, self._settings, history)

    def epoch(self, row: Epoch) -> None:
        """Log an epoch."""
        self._tracker.log_epoch(row)
