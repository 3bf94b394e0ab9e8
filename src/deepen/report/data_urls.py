"""Images as data URLs, which the page has inside it."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepen.report import figures

SMALL = 64  # pixels per side; smaller images of mistakes are enlarged without smoothing
_MOST_SIDE = 256  # pixels per side; larger images of mistakes are reduced


def encode_image(pixels: NDArray[np.uint8]) -> str:
    """Encode an image (channels, height, width) as a data URL, in colour if it has three channels; as PNG if small."""
    flat = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels.mean(0).astype(np.uint8)
    png = figures.encode_png(flat)
    return encode_url("image/png", png) if max(flat.shape[:2]) <= SMALL else encode_webp(png, _MOST_SIDE)


def encode_webp(png: bytes, most: int = 1000) -> str:
    """Encode a picture as a WebP data URL, reduced to at most `most` pixels per side."""
    image, file = Image.open(io.BytesIO(png)), io.BytesIO()
    image.thumbnail((most, most))
    image.save(file, "WEBP", quality=80)
    return encode_url("image/webp", file.getvalue())


def encode_url(kind: str, content: bytes) -> str:
    """Encode a file's content as a data URL; `kind` is its MIME type."""
    return f"data:{kind};base64," + base64.b64encode(content).decode()
