"""Convert images strip by strip, which needs no memory besides the image and the result."""

from collections.abc import Callable, Iterator

from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom
_STRIP = 1 << 20  # pixels


def split_into_strips(size: tuple[int, int]) -> Iterator[Box]:
    """Yield the boxes of the strips of an image of this (width, height), from top to bottom."""
    width, height = size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def convert_by_strips(size: tuple[int, int], convert: Callable[[Box], Image.Image]) -> Image.Image:
    """Return an image of this (width, height), assembled from the strips that `convert` returns."""
    whole: Image.Image | None = None
    for box in split_into_strips(size):
        part = convert(box)
        if part.size == size:
            return part
        if whole is None:
            whole = Image.new(part.mode, size)
        whole.paste(part, box)
    assert whole is not None
    return whole
