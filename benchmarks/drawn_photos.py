"""Synthetic photos: shapes of random colours on noisy backgrounds, in several sizes and colour modes."""

import colorsys
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SHAPES = ("ellipse", "triangle", "square", "cross", "ring")
_MODES = ("RGB", "RGB", "RGB", "RGBA", "P", "L")  # of the files
_SIDES = (40, 150)


def draw_photos(folder: Path, counts: list[int], seed: str) -> None:
    """Write `counts` photos of the first shapes, each shape into its own folder."""
    for shape, count in zip(SHAPES, counts, strict=False):
        (folder / shape).mkdir(parents=True)
        for i in range(count):
            _draw(shape, random.Random(f"{seed} {shape} {i}")).save(folder / shape / f"{i:05}.png")


def _draw(shape: str, chance: random.Random) -> Image.Image:
    """Draw one shape, rotated, shifted, partly covered by lines and blurred, on a noisy background."""
    side = 96
    ground = tuple(chance.randrange(256) for _ in range(3))
    colour = _pick_colour(SHAPES.index(shape) / len(SHAPES), chance)
    size = chance.randint(40, 70)
    mask = Image.new("L", (side, side))
    _fill(shape, ImageDraw.Draw(mask), (side - size) // 2, size)
    mask = mask.rotate(chance.uniform(0, 360), Image.Resampling.BILINEAR)
    shift = [chance.randint(-(side - size) // 3, (side - size) // 3) for _ in range(2)]
    noise = Image.frombytes("L", (side // 2, side // 2), chance.randbytes(side * side // 4)).resize((side, side))
    image = Image.blend(Image.new("RGB", (side, side), ground), noise.convert("RGB"), chance.uniform(0.1, 0.3))
    image.paste(Image.new("RGB", (side, side), colour), (shift[0], shift[1]), mask)
    draw = ImageDraw.Draw(image)
    for _ in range(chance.randint(2, 6)):
        ends = [chance.randrange(side) for _ in range(4)]
        draw.line(ends, fill=tuple(chance.randrange(256) for _ in range(3)), width=chance.randint(1, 7))
    image = image.filter(ImageFilter.GaussianBlur(chance.uniform(0, 2.5)))
    image = image.resize((chance.randint(*_SIDES), chance.randint(*_SIDES)))
    return image.convert(chance.choice(_MODES))


def _pick_colour(hue: float, chance: random.Random) -> tuple[int, ...]:
    """Pick a random colour near a hue (0-1)."""
    rgb = colorsys.hsv_to_rgb((hue + chance.gauss(0, 0.12)) % 1, chance.uniform(0.2, 1), chance.uniform(0.3, 1))
    return tuple(round(255 * value) for value in rgb)


def _fill(shape: str, draw: ImageDraw.ImageDraw, at: int, size: int) -> None:
    end, third = at + size, size // 3
    match shape:
        case "ellipse":
            draw.ellipse((at, at, end, end), fill=255)
        case "triangle":
            draw.polygon([(at, end), (end, end), (at + size // 2, at)], fill=255)
        case "square":
            draw.rectangle((at, at, end, end), fill=255)
        case "cross":
            draw.rectangle((at + third, at, end - third, end), fill=255)
            draw.rectangle((at, at + third, end, end - third), fill=255)
        case "ring":
            draw.ellipse((at, at, end, end), outline=255, width=size // 5)
