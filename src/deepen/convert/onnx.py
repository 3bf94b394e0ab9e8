"""Export networks to ONNX, with normalization included, and compare the results with onnxruntime."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deepen.core.errors import InputError
from deepen.core.packages import describe_missing
from deepen.data.augmentation import normalize
from deepen.models.layers import count_parameters
from deepen.models.vgg import VGG
from deepen.models.weights import ModelCard

if TYPE_CHECKING:
    from onnx import ModelProto

TOLERANCE = 1e-4  # of logits and probabilities, between PyTorch and onnxruntime
_MOST_BYTES = 2**31 - 2**20  # the limit of protobuf, minus some space for the graph
_BATCHES = (1, 2, 5)


def check_exportable(card: ModelCard) -> None:
    """Raise InputError if packages for ONNX are missing, or the network is too large for one file."""
    missing = describe_missing("ONNX", ("onnx", "onnxruntime", "onnxscript"), "onnx")
    faults = [missing] if missing else []
    if (size := 4 * count_parameters(card.plan())) > _MOST_BYTES:
        faults.append(
            f"the network needs {size / 1e9:.1f} GB; the limit of an ONNX file is 2 GB; export a narrower one"
        )
    if faults:
        raise InputError(faults)


class _FromPixels(nn.Module):
    """Maps uint8 images (batch, channels, height, width), 0-255, to logits and probabilities (batch, classes)."""

    def __init__(self, network: VGG, mean: Tensor) -> None:
        super().__init__()
        self.network = network
        self.mean = nn.Buffer(mean.reshape(1, -1, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images.to(torch.float32) / 255 - self.mean)  # as augmentation.normalize, in fewer nodes
        return logits, logits.softmax(1)


def to_onnx(card: ModelCard, network: VGG) -> "ModelProto":
    """Export the network in evaluation mode; the metadata has `classes` and the card, `deepen`, as JSON.

    Equal networks give equal models if the package versions are equal.
    """
    with warnings.catch_warnings(action="ignore"):  # warnings about the exporter's internals
        program = torch.onnx.export(
            _FromPixels(network, torch.tensor(card.mean)).eval(),
            (torch.zeros(2, *card.image, dtype=torch.uint8),),
            dynamo=True,
            input_names=["images"],
            output_names=["logits", "probabilities"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    assert program is not None
    return _replace_metadata(program.model_proto, card)


def _replace_metadata(model: "ModelProto", card: ModelCard) -> "ModelProto":
    """Replace the exporter's debug metadata, which contains paths, by a description of the network."""
    from onnx.helper import set_model_props

    graph = model.graph
    del graph.value_info[:]
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    graph.name = card.model
    set_model_props(model, {"classes": json.dumps(card.classes), "deepen": card.model_dump_json(exclude_none=True)})
    return model


@torch.inference_mode()
def measure_difference(path: Path, card: ModelCard, network: VGG) -> float:
    """Return the largest difference of a logit or probability between onnxruntime and PyTorch.

    The images are random, in batches of several sizes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    draws = torch.Generator().manual_seed(0)
    largest = 0.0
    for batch in _BATCHES:
        images = torch.randint(256, (batch, *card.image), dtype=torch.uint8, generator=draws)
        logits = network(normalize(images, torch.tensor(card.mean)))
        answers = session.run(["logits", "probabilities"], {"images": images.numpy()})
        for ours, theirs in zip((logits, logits.softmax(1)), answers, strict=True):
            difference = (ours - torch.from_numpy(theirs)).abs().max().item()
            largest = max(largest, difference if difference == difference else float("inf"))
    return largest
