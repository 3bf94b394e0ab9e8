"""A network in use: image files or arrays in, probabilities out, in batches."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepen.accuracy import Evaluation, evaluate, infer
from deepen.datasets.files import read_plain
from deepen.decoding import Pixels, UnreadableImage, decode, fit, planes
from deepen.device import choose_dtype, find_device, memory_told, place
from deepen.errors import InputError, plain, some
from deepen.images import ImageSet
from deepen.recipes import ViewKind
from deepen.views import Views
from deepen.weights import load_network

Picture = str | Path | Image.Image | Pixels
BATCH = 256
_AHEAD = 1  # batches that are decoded while the network is at another


@dataclass(frozen=True)
class Answer:
    """What a network says of one image: a probability for each class, float32 (classes,), or why it can't be read."""

    probabilities: NDArray[np.float32] | None
    fault: str = ""


class Classifier:
    """A trained network, ready to be asked; `card` says what it is, `classes` are the names of its classes."""

    def __init__(
        self, weights: Path, device: str = "auto", flip_averaging: bool | None = None, views: ViewKind = "centre"
    ) -> None:
        self.card, network = load_network(weights)
        self.classes = self.card.classes
        if self.card.image[0] not in (1, 3):
            raise InputError(f"{weights}: takes images of {self.card.image[0]} channels, pictures have 1 or 3")
        self._device = find_device(device)
        self._dtype = choose_dtype("auto", self._device)
        self._network = place(network, self._device)
        self._mean = torch.tensor(self.card.mean, device=self._device)
        self._views = Views(views, self.card.image[1:])
        self._flip_averaging = self.card.flip if flip_averaging is None else flip_averaging

    def predict(self, images: Iterable[Picture] | Picture) -> NDArray[np.float32]:
        """Probabilities (images, classes) of images of any size: paths, PIL images or arrays.

        An array is uint8, 0-255, (height, width) or (height, width, 3). Each image is resized and centre-cropped to
        the size of the images that the network was trained with. Raises InputError with every image that can't be read.
        """
        answers = list(self.stream(_listed(images)))
        faults = [answer.fault for answer in answers if answer.probabilities is None]
        if faults:
            raise InputError(some(faults))
        found = [answer.probabilities for answer in answers if answer.probabilities is not None]
        return np.stack(found) if found else np.empty((0, len(self.classes)), np.float32)

    def evaluate(self, images: ImageSet) -> Evaluation:
        """Top-1 to top-5 of images of the shape `card.prepared` and the network's classes."""
        return evaluate(
            self._network,
            images,
            self._mean,
            flip_averaging=self._flip_averaging,
            batch_size=BATCH,
            dtype=self._dtype,
            views=self._views,
        )

    def stream(self, images: Iterable[Picture]) -> Iterator[Answer]:
        """An answer for each image, in their order; the next images are decoded while the network is at these."""
        left = iter(images)
        waiting: deque[list[Future[Pixels]]] = deque()
        with ThreadPoolExecutor() as threads, ExitStack() as end:
            end.callback(threads.shutdown, wait=False, cancel_futures=True)  # Ctrl-C waits for no image still to come
            while True:
                while len(waiting) <= _AHEAD and (batch := list(islice(left, BATCH))):
                    waiting.append([threads.submit(self._pixels, image) for image in batch])
                if not waiting:
                    return
                yield from self._answers(waiting.popleft())

    def _pixels(self, image: Picture) -> Pixels:
        channels, *size = self.card.prepared
        match image:
            case str() | Path():
                return _decoded(Path(image), (size[0], size[1]), channels)
            case Image.Image():
                return fit(image, (size[0], size[1]), channels)
            case _:
                return fit(Image.fromarray(_must_be_pixels(image)), (size[0], size[1]), channels)

    def _answers(self, batch: Sequence[Future[Pixels]]) -> list[Answer]:
        answers: list[Answer | None] = []
        rows = []
        for future in batch:
            try:
                rows.append(planes(future.result()))
                answers.append(None)
            except UnreadableImage as error:
                answers.append(Answer(None, str(error)))
        found = iter(self._infer(np.stack(rows)) if rows else ())
        return [Answer(next(found)) if answer is None else answer for answer in answers]

    @torch.inference_mode()
    def _infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with memory_told(f"predicting {len(images)} images at once", self._device):
            batch = torch.from_numpy(images).to(self._device)
            _, probabilities = infer(
                self._network,
                batch,
                self._mean,
                flip_averaging=self._flip_averaging,
                dtype=self._dtype,
                views=self._views,
            )
        found: NDArray[np.float32] = probabilities.cpu().numpy()
        return found


def _listed(images: Iterable[Picture] | Picture) -> Iterable[Picture]:
    """Several images as they are, and a single one as a list of one."""
    if isinstance(images, str | Path | Image.Image):
        return [images]
    if isinstance(images, np.ndarray) and (images.ndim == 2 or (images.ndim == 3 and images.shape[2] == 3)):
        return [images]
    return images


def _decoded(path: Path, size: tuple[int, int], channels: int) -> Pixels:
    try:
        return decode(read_plain(path), size, channels)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnreadableImage(
            f"{plain(path)}: can't be read as an image ({reason}); replace or leave it out"
        ) from error


def _must_be_pixels(array: object) -> Pixels:
    if isinstance(array, np.ndarray) and array.dtype == np.uint8:
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3):
            return array
        raise UnreadableImage(f"an array has shape {array.shape}, pictures are (height, width) or (height, width, 3)")
    kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
    raise UnreadableImage(f"{kind} is no image; give a path, a PIL image or a uint8 array")
