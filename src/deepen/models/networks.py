"""Load a weights file as a PyTorch module."""

from os import PathLike

from deepen.core.names import make_path
from deepen.models.vgg import VGG, build_network
from deepen.models.weights import ModelCard, load_weights


def load_network(path: "str | PathLike[str]", dropout: float = 0.0) -> tuple[ModelCard, VGG]:
    """Load a weights file as a PyTorch module, on the CPU and in evaluation mode.

    Parameters
    ----------
    path : path
    dropout : float
        The dropout probability after each fully-connected layer, in training mode.

    Returns
    -------
    card : ModelCard
    network : torch.nn.Module
        Takes images (batch, channels, height, width) from `normalize`; returns logits (batch, classes).

    Raises
    ------
    InputError
        The file is not a weights file of Deepen, or its checksum does not match.
    """
    card, state = load_weights(make_path("weights", path))
    return card, build_network(card.plan(), state, dropout).eval()
