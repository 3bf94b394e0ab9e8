"""Cast the weights of a network to a lower precision together: autocast takes a kernel for each tensor."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class CastTogether:
    """Calls a network under autocast to `dtype`, with the trained parameters of its layers cast together beforehand.

    Their gradients are cast back together too. The result is that of autocast to the bit. Parameters of norms stay in
    float32, as under autocast.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        self._network, self._dtype = network, dtype
        self._names = [
            f"{role}.{name}" if role else name
            for role, layer in network.named_modules()
            if isinstance(layer, nn.Conv2d | nn.Linear)
            for name, parameter in layer.named_parameters(recurse=False)
            if parameter.requires_grad
        ]

    def __call__(self, images: Tensor) -> Tensor:
        """Return the network's result for these images."""
        cast = _Cast.apply(self._dtype, *map(self._network.get_parameter, self._names))
        result: Tensor = functional_call(self._network, dict(zip(self._names, cast, strict=True)), (images,))
        return result


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*tensors)
        return _copy([torch.empty_like(tensor, dtype=dtype) for tensor in tensors], tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *_copy([torch.empty_like(tensor) for tensor in ctx.saved_tensors], gradients)


def _copy(targets: list[Tensor], sources: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if targets:
        torch._foreach_copy_(targets, sources)
    return tuple(targets)
