"""Read the size of an image file, and whether it is greyscale, without decoding its pixels."""

from typing import NamedTuple

from deepen.core.errors import InputError
from deepen.decoding.decode import UnreadableImage, describe_error, find_image_orientation, open_image_file
from deepen.decoding.fitting import is_grey
from deepen.decoding.pillow_warnings import collect_warnings

_ON_ITS_SIDE = 5  # the first EXIF orientation that exchanges width and height


class Form(NamedTuple):
    """Height and width of an image in pixels, upright, and whether it is greyscale."""

    height: int
    width: int
    is_grey: bool


def measure_image(content: bytes) -> Form:
    """Return the form of an image file; raises UnreadableImage."""
    try:
        with collect_warnings():
            _, parsed, image = open_image_file(content)
            turned = find_image_orientation(image, parsed) >= _ON_ITS_SIDE
            width, height = image.size[::-1] if turned else image.size
            return Form(height, width, is_grey(image))
    except (UnreadableImage, InputError):
        raise
    except Exception as error:  # decoders raise anything on a damaged file
        raise UnreadableImage(describe_error(error)) from error
