"""A network in use: image files or arrays in, probabilities out, in batches."""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepen.config.recipes import ViewKind
from deepen.core.counts import counted
from deepen.core.errors import InputError, some
from deepen.data.images import ImageSet
from deepen.decoding.decode import DecodedImage, UnreadableImage
from deepen.decoding.fitting import move_channels_first
from deepen.evaluation.accuracy import Evaluation, evaluate, infer
from deepen.evaluation.views import Views
from deepen.inference.pictures import Picture, list_pictures, read_picture
from deepen.models.networks import load_network
from deepen.runtime.device import choose_dtype, find_device, memory_told, place

BATCH = 256
_AHEAD = 1  # batches that are decoded while the network is at another


def load(
    weights: str | PathLike[str],
    device: str = "auto",
    flip_averaging: bool | None = None,
    views: ViewKind = "centre",
) -> "Classifier":
    """Load a trained network: `deepen.load("weights/III.safetensors").predict(["photo.jpg"])`.

    Parameters
    ----------
    weights : path
        A weights file of this project; its metadata says which network it holds.
    device : str
        `auto`, `cpu`, `mps`, `cuda` or `cuda:1`. `auto` takes CUDA, then Apple MPS, then the CPU.
    flip_averaging : bool or None
        Whether probabilities are the mean over an image and its mirror image. None: where the network's data flips.
    views : {"centre", "crops", "dense"}
        What a network that was trained on a `view` of larger images looks at: their centre, a grid of crops, or
        everywhere.

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        The file is not that of a network, or the device is not available. It is a ValueError.
    """
    return Classifier(Path(weights), device, flip_averaging, views)


@dataclass(frozen=True)
class Answer:
    """Hold what a network says of one image.

    Attributes
    ----------
    probabilities : float32 array (classes,) or None
        None where the image can't be read.
    fault : str
        Why it can't be read; empty where it was read.
    notes : tuple of str
        Sentences on an image that was read, for example that it is nearly black.
    """

    probabilities: NDArray[np.float32] | None
    fault: str = ""
    notes: tuple[str, ...] = ()


class Classifier:
    """Predict the classes of images with a trained network.

    Attributes
    ----------
    card : ModelCard
        What the weights file says of the network.
    classes : tuple of str
        The names of its classes, in the order of the probabilities.
    """

    def __init__(
        self, weights: Path, device: str = "auto", flip_averaging: bool | None = None, views: ViewKind = "centre"
    ) -> None:
        self.card, network = load_network(weights)
        self.classes = self.card.classes
        if self.card.image[0] not in (1, 3):
            raise InputError(
                f"{weights}: takes images of {counted(self.card.image[0], 'channel')}, pictures have 1 or 3"
            )
        self._device = find_device(device)
        self._dtype = choose_dtype("auto", self._device)
        self._network = place(network, self._device)
        self._mean = torch.tensor(self.card.mean, device=self._device)
        self._views = Views(views, self.card.image[1:])
        self._flip_averaging = self.card.flip if flip_averaging is None else flip_averaging

    def predict(self, images: Iterable[Picture] | Picture) -> NDArray[np.float32]:
        """Compute the probabilities of each class for images of any size.

        Each image is turned upright as its EXIF says, what is transparent becomes white, and it is resized and
        centre-cropped to the size of the images that the network was trained with. Images that may be read wrongly are
        warned of.

        Parameters
        ----------
        images : an image, or several
            Paths, PIL images, contents of files, or uint8 arrays, 0-255: (height, width), or (height, width, channels)
            with 1, 3 or 4 channels. An array of several images is (images, height, width, channels).

        Returns
        -------
        float32 array (images, classes)

        Raises
        ------
        InputError
            Names every image that can't be read.
        """
        answers = list(self.stream(images))
        faults = [answer.fault for answer in answers if answer.probabilities is None]
        if faults:
            raise InputError(some(faults))
        if notes := [note for answer in answers for note in answer.notes]:
            warnings.warn("\n".join(some(notes)), stacklevel=2)
        found = [answer.probabilities for answer in answers if answer.probabilities is not None]
        return np.stack(found) if found else np.empty((0, len(self.classes)), np.float32)

    def evaluate(self, images: ImageSet) -> Evaluation:
        """Count top-1 to top-5 on labelled images of the shape `card.prepared` and the network's classes."""
        return evaluate(
            self._network,
            images,
            self._mean,
            flip_averaging=self._flip_averaging,
            batch_size=BATCH,
            dtype=self._dtype,
            views=self._views,
        )

    def stream(self, images: Iterable[Picture] | Picture) -> Iterator[Answer]:
        """Yield an answer for each image, in their order; the next images are decoded while the network computes.

        Parameters
        ----------
        images : an image, or several
            As for `predict`; an iterator is read as it is needed.

        Yields
        ------
        Answer
            One that says why where an image can't be read.

        Raises
        ------
        InputError
            `images` is neither an image nor several.
        """
        named = ((f"images[{i}]", image) for i, image in enumerate(list_pictures(images)))
        waiting: deque[list[Future[DecodedImage]]] = deque()
        channels, *size = self.card.prepared
        threads = ThreadPoolExecutor()
        try:
            while True:
                while len(waiting) <= _AHEAD and (batch := list(islice(named, BATCH))):
                    waiting.append([threads.submit(read_picture, *one, (size[0], size[1]), channels) for one in batch])
                if not waiting:
                    return
                yield from self._answers(waiting.popleft())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)  # Ctrl-C waits for no image

    def _answers(self, batch: Sequence[Future[DecodedImage]]) -> list[Answer]:
        answers = []
        rows = []
        for future in batch:
            try:
                decoded = future.result()
                rows.append(move_channels_first(decoded.pixels))
                answers.append(Answer(None, notes=decoded.notes))
            except UnreadableImage as error:
                answers.append(Answer(None, str(error)))
        found = iter(self._infer(np.stack(rows)) if rows else ())
        return [answer if answer.fault else replace(answer, probabilities=next(found)) for answer in answers]

    @torch.inference_mode()
    def _infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with memory_told(f"predicting {counted(len(images), 'image')} at once", self._device):
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
