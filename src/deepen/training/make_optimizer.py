"""Make the optimizer that the settings choose."""

import torch
from torch import Tensor, nn, optim

from deepen.config.recipes import MuonSettings, SgdSettings
from deepen.runtime.group import Group
from deepen.training.muon import Muon
from deepen.training.optimizers import SGD


def make_optimizer(
    network: nn.Module, settings: MuonSettings | SgdSettings, lr: Tensor, group: Group, dtype: torch.dtype
) -> optim.Optimizer:
    """Make the optimizer of the parameters that are not frozen."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rates = settings.model_dump(exclude={"name"})
    if settings.name == "muon":
        return Muon(parameters, lr, **rates, in_half=dtype != torch.float32, group=group)
    return SGD(parameters, lr, **rates, fused=lr.is_cuda)
