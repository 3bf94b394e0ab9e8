"""Check that a network supports the chosen views of images."""

from typing import get_args

from deepen.config.recipes import ViewKind
from deepen.core.errors import InputError
from deepen.core.wording import format_value
from deepen.evaluation.views import Views
from deepen.models.weights import ModelCard

_KINDS: tuple[ViewKind, ...] = get_args(ViewKind)
_OF_LARGER_IMAGES = ("crops", "dense")


def make_views(kind: ViewKind, card: ModelCard) -> Views:
    """Return the views of images for a network; raises InputError if they are unknown, or the centre and no more."""
    if kind not in _KINDS:
        raise InputError(
            f"views: must be one of {', '.join(_KINDS)}, got {format_value(kind)}; write for example crops"
        )
    if kind in _OF_LARGER_IMAGES and card.prepared == card.image:
        size = "x".join(map(str, card.image[1:]))
        raise InputError(
            f"views: {kind} requires images larger than the network's input, but this network was trained on whole "
            f"images of {size}; use centre or shifts, or train with a view smaller than the images"
        )
    return Views(kind, card.image[1:])
