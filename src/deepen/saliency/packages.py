"""The Python package of saliency maps, which is an extra."""

from deepen.core.packages import require_extra


def require_captum(images: int) -> None:
    """Raise InputError if maps of so many images are wanted, and Captum is missing."""
    if images:
        require_extra(f"params.yaml: saliency: {images}", ["captum"], "saliency", "write saliency: 0")
