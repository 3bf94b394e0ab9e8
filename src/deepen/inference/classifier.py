"""Inference in batches: predict class probabilities of image files, arrays or PIL images."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepen.config.recipes import ViewKind
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, trim
from deepen.core.names import make_path
from deepen.data.images import ImageSet
from deepen.decoding.decode import DecodedImage, UnreadableImage
from deepen.decoding.fitting import move_channels_first
from deepen.evaluation.accuracy import Evaluation, evaluate, infer
from deepen.inference.answer import Answer
from deepen.inference.checked_precision import choose_checked_dtype
from deepen.inference.checked_views import make_views
from deepen.inference.halving import evaluate_in_smaller_batches, infer_in_parts
from deepen.inference.pictures import Picture, check_channels, decode_ahead
from deepen.models.networks import load_network
from deepen.runtime.device import find_device, move_to_device, name_dtype, use_device

BATCH = 256


def load(
    weights: str | PathLike[str],
    device: str = "auto",
    flip_averaging: bool | None = None,
    views: ViewKind = "centre",
    precision: str = "auto",
) -> "Classifier":
    """Load a trained network: `deepen.load("weights/III.safetensors").predict(["photo.jpg"])`.

    Parameters
    ----------
    weights : path
        A weights file of this project; its metadata describes the network.
    device : str
        `auto`, `cpu`, `mps`, `cuda` or `cuda:1`. `auto` prefers CUDA, then Apple MPS, then the CPU.
    flip_averaging : bool or None
        Whether to average over an image and its mirror image. None: if the network was trained with flips.
    views : {"centre", "shifts", "crops", "dense"}
        Evaluate the centre, or also its shifts by one pixel. Only for a network trained on a `view` of larger images: a
        grid of crops, or all positions.
    precision : {"auto", "float32", "bfloat16"}
        In which layers compute. `auto` takes bfloat16 on GPUs that multiply it, else float32, whatever the training
        had: for the numbers of a training in float32, give float32.

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        The weights file or the precision is invalid, or the network does not support the views, or the device is not
        available. A subclass of ValueError.
    """
    return Classifier(make_path("weights", weights), device, flip_averaging, views, precision)


class Classifier:
    """Predict the classes of images with a trained network.

    Attributes
    ----------
    card : ModelCard
        The metadata of the weights file.
    classes : tuple of str
        The names of its classes, in the order of the probabilities.
    precision : str
        In which its layers compute: `float32` or `bfloat16`.
    """

    def __init__(
        self,
        weights: Path,
        device: str = "auto",
        flip_averaging: bool | None = None,
        views: ViewKind = "centre",
        precision: str = "auto",
    ) -> None:
        self.card, network = load_network(weights)
        self.classes, self._views = self.card.classes, make_views(views, self.card)
        check_channels(weights, self.card.image[0])
        found = find_device(device)
        self._dtype = choose_checked_dtype(precision, found)
        self.precision = name_dtype(self._dtype)
        self._network = move_to_device(network, found)
        self._mean = torch.tensor(self.card.mean, device=found)
        self._device = self._mean.device  # with its number, should the caller make another GPU the current one
        self._flip_averaging = self.card.flip if flip_averaging is None else flip_averaging

    def __repr__(self) -> str:
        card = self.card
        classes, image = pluralize(len(card.classes), "class"), "x".join(map(str, card.image))
        where = f"on {self._device} in {self.precision}"
        return f"<Classifier {card.model}: {card.layers}, {classes}, images of {image}, {where}>"

    def predict(self, images: Iterable[Picture] | Picture) -> NDArray[np.float32]:
        """Compute the probabilities of each class for images of any size.

        The EXIF orientation is applied, transparency becomes white, and each image is resized and centre-cropped to the
        size of the training images. Suspicious images cause a warning.

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
            Lists every image that can't be read.
        """
        answers = list(self.stream(images))
        faults = [answer.fault for answer in answers if answer.probabilities is None]
        if faults:
            raise InputError(trim(faults))
        if notes := [note for answer in answers for note in answer.notes]:
            warnings.warn("\n".join(trim(notes)), stacklevel=2)
        rows = [answer.probabilities for answer in answers if answer.probabilities is not None]
        return np.stack(rows) if rows else np.empty((0, len(self.classes)), np.float32)

    def evaluate(self, images: ImageSet) -> Evaluation:
        """Compute top-1 to top-5 accuracy on labelled images of shape `card.prepared` and the network's classes."""

        def evaluate_in_batches(size: int) -> Evaluation:
            return evaluate(
                self._network,
                images,
                self._mean,
                flip_averaging=self._flip_averaging,
                batch_size=size,
                dtype=self._dtype,
                views=self._views,
            )

        with use_device(self._device):
            return evaluate_in_smaller_batches(evaluate_in_batches, BATCH, self._device)

    def stream(self, images: Iterable[Picture] | Picture) -> Iterator[Answer]:
        """Yield an answer for each image, in order, with a `fault` if it can't be read.

        The next images are decoded while the network computes. `images` is as for `predict`; an iterator is read
        lazily. Raises InputError if `images` is neither an image nor several.
        """
        channels, height, width = self.card.prepared
        with closing(decode_ahead(images, (height, width), channels, BATCH)) as batches:
            for batch in batches:
                yield from self._answer(batch)

    def _answer(self, batch: Sequence[Future[DecodedImage]]) -> list[Answer]:
        answers = []
        rows = []
        for future in batch:
            try:
                decoded = future.result()
                rows.append(move_channels_first(decoded.pixels))
                answers.append(Answer(None, notes=decoded.notes))
            except UnreadableImage as error:
                answers.append(Answer(None, str(error)))
        probabilities = iter(infer_in_parts(self._infer, np.stack(rows), self._device) if rows else ())
        return [answer if answer.fault else replace(answer, probabilities=next(probabilities)) for answer in answers]

    @torch.inference_mode()
    def _infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with use_device(self._device):
            batch = torch.from_numpy(images).to(self._device)
            _, probabilities = infer(
                self._network,
                batch,
                self._mean,
                flip_averaging=self._flip_averaging,
                dtype=self._dtype,
                views=self._views,
            )
            array: NDArray[np.float32] = probabilities.cpu().numpy()
        return array
