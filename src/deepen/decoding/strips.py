"""Images changed pixel by pixel in strips, so that a large one takes no memory beside itself and what comes of it."""

from collections.abc import Callable, Iterator

from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom
_STRIP = 1 << 20  # pixels


def strips(size: tuple[int, int]) -> Iterator[Box]:
    """The strips of an image of this (width, height), from top to bottom."""
    width, height = size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def by_strips(size: tuple[int, int], convert: Callable[[Box], Image.Image]) -> Image.Image:
    """An image of this (width, height) put together of what `convert` makes of each strip."""
    whole: Image.Image | None = None
    for box in strips(size):
        part = convert(box)
        if part.size == size:
            return part
        if whole is None:
            whole = Image.new(part.mode, size)
        whole.paste(part, box)
    assert whole is not None
    return whole
