"""The base class of callbacks, which follow a training."""

from collections.abc import Sequence

from deepen.records.history import Epoch


class Callback:
    """Methods that `train` calls; each does nothing unless a subclass overrides it."""

    def start(self, steps: int, history: Sequence[Epoch]) -> None:
        """Receive the steps and epochs that are already done, before the first step."""

    def step(self) -> None:
        """Run after each step."""

    def epoch(self, row: Epoch) -> None:
        """Receive the results of an epoch, after it has ended."""

    def keep(self, row: Epoch) -> None:
        """Receive the epoch whose weights are the result, at the end of a training with `patience`."""

    def warn(self, text: str) -> None:
        """Receive a warning, one sentence that begins with the model's name."""
