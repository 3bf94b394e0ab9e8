"""Read images in any supported form: paths, bytes, file objects, PIL images and arrays."""

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from numbers import Number
from pathlib import Path
from threading import Lock
from typing import IO, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote
from deepen.core.names import make_path
from deepen.datasets.files import MOST_FILE_BYTES, read_image_file
from deepen.decoding.budget import Budget
from deepen.decoding.decode import PIXELS, DecodedImage, UnreadableImage, decode_noted, run_decoder
from deepen.decoding.fitting import fit
from deepen.decoding.headers.orientation import ORIENTATION, find_orientation

Array = NDArray[np.uint8]
Picture = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | Array
_CHANNELS = (1, 3, 4)
_AHEAD = 1  # batches decoded while the caller uses another one
_KINDS = "a path, the bytes of a file, a binary file object, a PIL image or a uint8 array"
_BYTES = Budget(MOST_FILE_BYTES)  # of files in memory at a time
_loading = Lock()  # two threads must not load the same PIL image


def check_channels(weights: Path, channels: int) -> None:
    """Raise InputError if no image can be converted to the channels that the network of a weights file needs."""
    if channels not in (1, 3):
        raise InputError(
            f"{weights}: the network needs images of {pluralize(channels, 'channel')}; 1 and 3 are supported"
        )


def list_pictures(images: Iterable[Picture] | Picture) -> Iterable[Picture]:
    """Return an iterable of images: several images unchanged, the images of an array, or a list of a single image.

    Raises InputError if the argument is neither an image nor several.
    """
    if isinstance(images, bytearray | memoryview):
        return [bytes(images)]
    if isinstance(images, np.ndarray) and (images.dtype.kind not in "UO" or images.ndim == 0):
        _check_array("images", images, several=True)
        return images if images.ndim == 4 else [images]
    if isinstance(images, str | os.PathLike | bytes | Image.Image) or hasattr(images, "read"):
        return [cast("Picture", images)]
    numbers = isinstance(images, list | tuple) and images and isinstance(images[0], Number | list | tuple)
    if numbers or isinstance(images, torch.Tensor | dict) or not isinstance(images, Iterable):
        raise InputError(f"images: {_describe_non_image(images, ', or several of them')}")
    return images


def decode_ahead(
    images: Iterable[Picture] | Picture, size: tuple[int, int], channels: int, batch_size: int
) -> Generator[list[Future[DecodedImage]]]:
    """Yield batches of decoded images, in order; threads decode the next batch while the caller uses one.

    Raises InputError if `images` is neither an image nor several.
    """
    named = ((f"images[{i}]", image) for i, image in enumerate(list_pictures(images)))
    waiting: deque[list[Future[DecodedImage]]] = deque()
    threads = ThreadPoolExecutor()
    try:
        while True:
            while len(waiting) <= _AHEAD and (batch := list(islice(named, batch_size))):
                waiting.append([threads.submit(read_picture, *each, size, channels) for each in batch])
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # so that Ctrl-C does not wait for images


def read_picture(name: str, image: object, size: tuple[int, int], channels: int) -> DecodedImage:
    """Read and decode an image, resized to (height, width), with notes as sentences.

    `name` is used in messages for an image that is not a path. Raises UnreadableImage with a sentence.
    """
    try:
        name = quote(make_path(name, image)) if isinstance(image, str | os.PathLike) else name
        decoded = run_decoder(lambda: _read(name, image, (size, channels)))
    except InputError as error:
        raise UnreadableImage(str(error)) from error
    except UnreadableImage as error:
        raise UnreadableImage(f"{name}: can't be read as an image ({error}); replace or leave it out") from error
    return DecodedImage(decoded.pixels, tuple(f"{name}: {note}" for note in decoded.notes))


def _read(name: str, image: Any, form: tuple[tuple[int, int], int]) -> DecodedImage:
    if isinstance(image, Image.Image):
        return _prepare(image, form)
    if isinstance(image, np.ndarray):
        return _prepare(Image.fromarray(_check_array(name, image)), form)
    if isinstance(image, str | os.PathLike):
        with _BYTES.reserve(os.stat(image).st_size):
            return decode_noted(read_image_file(Path(image)), *form)
    content = image.read(MOST_FILE_BYTES + 1) if hasattr(image, "read") else image
    if not isinstance(content, bytes):
        raise InputError(f"{name}: {_describe_non_image(image)}")
    if len(content) > MOST_FILE_BYTES:
        raise ValueError(f"it exceeds the limit of {MOST_FILE_BYTES:,} bytes")
    return decode_noted(content, *form)


def _prepare(image: Image.Image, form: tuple[tuple[int, int], int]) -> DecodedImage:
    """Convert a PIL image as `decode_noted` converts a file, except for the bit depth stated in a file."""
    with PIXELS.reserve(image.width * image.height):
        with _loading:
            image.load()
            try:
                orientation = image.getexif().get(ORIENTATION, 1)
            except Exception:  # damaged EXIF
                orientation = find_orientation(image.info.get("exif", b""))
        pixels, note = fit(image, *form, orientation)
    return DecodedImage(pixels, (note,) if note else ())


def _check_array(name: str, array: NDArray[Any], several: bool = False) -> Array:
    """Return an array for PIL, without the axis of a single channel; raises InputError for an invalid one."""
    dimensions = (2, 3, 4) if several else (2, 3)
    channels = array.shape[-1] if array.ndim > 2 else 1
    if array.dtype == np.uint8 and array.ndim in dimensions and channels in _CHANNELS and all(array.shape[-3:]):
        return array[..., 0] if array.ndim == 3 and channels == 1 else array
    hint = ""
    if array.ndim in (3, 4) and channels not in _CHANNELS:
        turned = "0, 2, 3, 1" if array.ndim == 4 else "1, 2, 0"
        first = array.shape[-3] in _CHANNELS
        hint = (
            f": array.transpose({turned}) puts channels last" if first else ": array[..., None] for several grey ones"
        )
    raise InputError(
        f"{name}: an array of {array.dtype} and shape {array.shape}; give uint8, 0-255, of shape (height, width) or "
        f"(height, width, 1, 3 or 4){', or (images, height, width, 1, 3 or 4)' if several else ''}{hint}"
    )


def _describe_non_image(thing: object, more: str = "") -> str:
    """Return why an object is not an image, and how to convert it."""
    if isinstance(thing, torch.Tensor):
        axes = {3: "1, 2, 0", 4: "0, 2, 3, 1"}.get(thing.ndim)
        last = f".permute({axes})" if axes and thing.shape[-3] in _CHANNELS else ""
        return (
            f"a tensor of {thing.dtype} and shape {tuple(thing.shape)}; "
            f"give an array of uint8, 0-255, channels last: tensor{last}.cpu().numpy()"
        )
    return f"{type(thing).__name__} is not an image; give {_KINDS}{more}"
