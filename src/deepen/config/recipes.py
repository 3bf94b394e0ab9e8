"""Settings of a recipe: training, optimizer, learning-rate schedule and evaluation."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from deepen.config.automatic import choose_batch_size
from deepen.config.section import Section, auto, none

# learning rate; beyond these bounds float32 steps vanish or overflow
Rate = Annotated[float, Field(ge=1e-8, le=100)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
ViewKind = Literal["centre", "shifts", "crops", "dense"]  # of a test image, see views.py
ClassWeights = Literal["none", "balanced"]  # of the loss, see loss.py


class OneCycle(Section):
    """The learning rate rises from near 0 to its peak in the fraction `warmup` of the steps, then falls to 0."""

    name: Literal["onecycle"] = Field(examples=["onecycle"])
    warmup: float = Field(gt=0, lt=1, examples=[0.3])


class Plateau(Section):
    """The learning rate is multiplied by `factor` when validation top-1 has not risen for over `patience` epochs."""

    name: Literal["plateau"] = Field(examples=["onecycle"])
    factor: float = Field(gt=0, lt=1, examples=[0.1])
    patience: int = Field(ge=0, le=100_000, examples=[10])


class SgdSettings(Section):
    """Stochastic gradient descent; `weight_decay` times the parameter is added to the gradient."""

    name: Literal["sgd"] = Field(examples=["muon"])
    momentum: float = Field(ge=0, le=0.999, examples=[0.9])
    nesterov: bool = Field(examples=["true"])
    weight_decay: float = Field(ge=0, le=10, examples=["5.0e-4"])

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, value: bool, others: ValidationInfo) -> bool:
        if value and others.data.get("momentum") == 0:
            raise PydanticCustomError("nesterov", "needs momentum above 0; write for example nesterov: false")
        return value


class MuonSettings(Section):
    """Muon, with orthogonalized steps; each step shrinks weights by the learning rate times `weight_decay`.

    The learning rate of biases and norms is `vector_lr` times that of weights.
    """

    name: Literal["muon"] = Field(examples=["muon"])
    momentum: float = Field(ge=0, le=0.999, examples=[0.9])
    weight_decay: float = Field(ge=0, le=10, examples=[0.1])
    vector_lr: float = Field(default=1.0, ge=1e-6, le=1e6, examples=[1.0])


class TrainingSettings(Section):
    """How a model is trained, on cross-entropy loss."""

    lr: Rate = Field(examples=[0.08])
    grown_lr: float = Field(ge=1e-6, le=100, examples=[0.6])
    schedule: Annotated[OneCycle | Plateau, Field(discriminator="name")]
    optimizer: Annotated[MuonSettings | SgdSettings, Field(discriminator="name")]
    batch_size: Annotated[Annotated[int, Field(ge=1, le=1_000_000)] | None, auto] = Field(examples=[128])
    epochs: list[Epochs] = Field(min_length=1, max_length=1000, examples=["[3, 3, 12]"])  # see `Settings.epochs`
    patience: Annotated[Annotated[int, Field(ge=1, le=100_000)] | None, none] = Field(examples=[10])  # early stopping
    skip_easy: float = Field(default=0.0, ge=0, le=0.5, examples=[0.3])  # share of the images; see ImageOrder
    label_smoothing: float = Field(ge=0, le=0.9, examples=[0.1])
    class_weights: ClassWeights = Field(examples=["balanced"])
    dropout: float = Field(ge=0, le=0.95, examples=[0.3])
    crop: bool = Field(examples=["true"])
    scale_jitter: float = Field(ge=1, le=16, examples=[2.0])  # arXiv 1409.1556, section 3.1; 1: off
    color_shift: float = Field(ge=0, le=10, examples=[0.1])

    def batch(self, images: int) -> int:
        """Return the batch size for a number of training images."""
        return min(images, choose_batch_size(images) if self.batch_size is None else self.batch_size)


class EvaluationSettings(Section):
    """How a model is evaluated; independent of training."""

    batch_size: int = Field(ge=1, le=1_000_000, examples=[500])
    flip_averaging: bool = Field(examples=["true"])
    views: ViewKind = Field(examples=["centre"])


class Recipe(Section):
    """How models are trained and evaluated."""

    training: TrainingSettings
    evaluation: EvaluationSettings
