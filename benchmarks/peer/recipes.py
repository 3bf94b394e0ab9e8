"""The two trainings of cifar10-airbench: SGD with lookahead (arXiv 2404.00498), and Muon."""

from typing import Annotated, Literal

from pydantic import Field

from deepen.config.section import Section

_Rate = Annotated[float, Field(gt=0, le=100)]
_Momentum = Annotated[float, Field(ge=0, le=0.999)]


class PeerRecipe(Section):
    """A training of the peer; rates are for the sum of the loss over a batch.

    A step shrinks each parameter that SGD trains by `decay` for each image of the batch, times the schedule. The
    filters are the convolutions after the whitening.
    """

    optimizer: Literal["sgd", "muon"]
    batch_size: int = Field(ge=1, le=1_000_000)
    momentum: _Momentum = 0.85  # of SGD, Nesterov
    filter_lr: _Rate
    filter_momentum: _Momentum
    norm_bias_lr: _Rate
    whitening_bias_lr: _Rate
    head_lr: _Rate
    decay: float = Field(ge=0, le=1)
    whitening_bias_bound: float = Field(ge=0, le=100)  # of the uniform numbers that its bias starts from
    logit_divisor: float = Field(ge=0, le=1_000_000)  # 0: the number of the head's inputs
    unit_head: bool  # start the head with weights of standard deviation 1
    lookahead: bool
    whitening_bias_epochs: float = Field(default=3.0, ge=0, le=100_000)  # after these the bias of the whitening stays
    label_smoothing: float = Field(default=0.2, ge=0, le=0.9)
    shift: int = Field(default=2, ge=0, le=31)  # pixels, up to which training images are shifted
    skip_easy: float = Field(default=0.0, ge=0, le=0.5)  # not airbench's; see deepen.training.order


# The paper states rates per 1,024 images and free of momentum: a gradient acts 1 + 1 / (1 - momentum) times in all.
_PER_IMAGE = 1 / (1024 * (1 + 1 / (1 - 0.85)))
_SGD_LR = 11.5 * _PER_IMAGE

SGD = PeerRecipe(
    optimizer="sgd",
    batch_size=1024,
    filter_lr=_SGD_LR,
    filter_momentum=0.85,
    norm_bias_lr=64 * _SGD_LR,
    whitening_bias_lr=_SGD_LR,
    head_lr=_SGD_LR,
    decay=0.0153 * _PER_IMAGE,
    whitening_bias_bound=0.0,
    logit_divisor=9.0,
    unit_head=False,
    lookahead=True,
)

MUON = PeerRecipe(
    optimizer="muon",
    batch_size=2000,
    filter_lr=0.24,
    filter_momentum=0.6,
    norm_bias_lr=0.053,
    whitening_bias_lr=0.053,
    head_lr=0.67,
    decay=2e-6,
    whitening_bias_bound=12**-0.5,
    logit_divisor=0.0,
    unit_head=True,
    lookahead=False,
)

RECIPES = {"sgd": SGD, "muon": MUON}
