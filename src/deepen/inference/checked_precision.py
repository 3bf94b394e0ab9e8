"""Check and choose the precision in which a network computes."""

import torch

from deepen.core.errors import InputError
from deepen.core.wording import format_value
from deepen.runtime.device import choose_dtype

PRECISIONS = ("auto", "float32", "bfloat16")  # as in params.yaml


def choose_checked_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of a precision on a device; raises InputError if the precision is unknown."""
    if precision not in PRECISIONS:
        raise InputError(
            f"precision: must be one of {', '.join(PRECISIONS)}, got {format_value(precision)}; "
            "write for example float32"
        )
    return choose_dtype(precision, device)
