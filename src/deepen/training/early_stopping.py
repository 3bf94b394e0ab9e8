"""Early stopping: when a training ends before its last epoch, and the weights of its best epoch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from deepen.core.errors import InputError
from deepen.records.history import Epoch, find_best_epoch

_PREFIX = "best."


class EarlyStopping:
    """End a training after `patience` epochs without a better one, and keep the weights of the best epoch.

    The weights stay on the network's device. All else is a function of the history.
    """

    def __init__(self, network: nn.Module, patience: int) -> None:
        self._network, self._patience = network, patience
        self._best: dict[str, Tensor] = {}

    def ends(self, history: Sequence[Epoch]) -> bool:
        """Return whether the last `patience` epochs were no better than one before them."""
        return bool(history) and history[-1].epoch - find_best_epoch(history).epoch >= self._patience

    @torch.no_grad()
    def update(self, history: Sequence[Epoch]) -> None:
        """Keep the weights of the network if the last epoch is the best."""
        if find_best_epoch(history) == history[-1]:
            for key, tensor in self._network.state_dict().items():
                self._best.setdefault(key, torch.empty_like(tensor)).copy_(tensor)

    def use_best(self) -> None:
        """Load the weights of the best epoch into the network."""
        self._network.load_state_dict(self._best)

    def get_state(self) -> dict[str, Tensor]:
        """Return the weights of the best epoch, for a checkpoint."""
        return {f"{_PREFIX}{key}": tensor for key, tensor in self._best.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from the tensors of a checkpoint."""
        own = self._network.state_dict()
        best = {key: tensor for key in own if (tensor := state.get(f"{_PREFIX}{key}")) is not None}
        self._best = {key: tensor.to(own[key].device) for key, tensor in best.items()}


def require_validation(model: str, images: int) -> None:
    """Raise InputError without validation images."""
    if not images:
        raise InputError(f"{model}: patience needs validation images; increase val_fraction, or write patience: none")
