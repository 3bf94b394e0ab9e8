"""A weights file -> its network."""

from pathlib import Path

from deepen.models.vgg import VGG, network
from deepen.models.weights import ModelCard, load_weights


def load_network(path: Path, dropout: float = 0.0) -> tuple[ModelCard, VGG]:
    """The card and the network of a weights file, on the CPU, in evaluation mode; raises what load_weights does."""
    card, state = load_weights(path)
    return card, network(card.plan(), state, dropout).eval()
