"""Load and validate params.yaml; all errors are reported together, each with path, rule and remedy."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from deepen.config.automatic import choose_epochs
from deepen.config.dataset_settings import Dataset, Digits, Downloaded, Folder, Image, Width
from deepen.config.recipes import Epochs, EvaluationSettings, Rate, Recipe, TrainingSettings
from deepen.config.references import find_reference_faults
from deepen.config.section import PathText, Section, auto
from deepen.config.validation import format_fault
from deepen.core.errors import InputError, prefix_faults, quote, trim
from deepen.core.names import SCRATCH
from deepen.core.nearest import suggest_name
from deepen.core.wording import format_value
from deepen.core.yaml_reading import parse_yaml, read_yaml
from deepen.models.freezing import COPIED
from deepen.models.layers import Norm

_NARROW = 0.125  # of the width; below it two threads wait for each other longer than they compute
Growth = Literal["identity", "copy", "random"]
Tracking = Literal["none", "tensorboard", "mlflow", "wandb"]
_Role = Annotated[str, Field(max_length=64)]


def _parse_frozen(value: object) -> object:
    if not isinstance(value, list) and value != COPIED:
        raise PydanticCustomError("frozen", "must be a list of layers, or copied")
    return [COPIED] if value == COPIED else value


_Frozen = Annotated[list[_Role], BeforeValidator(_parse_frozen)]


class Model(Section):
    """A network of the ladder. `mapping`, `fresh` and `dropped` are the exceptions to "equal roles are copied"."""

    after: str = Field(examples=["I"])
    layers: str = Field(max_length=10_000, examples=["conv3-128 maxpool fc-1024"])
    epochs: Annotated[Epochs | None, auto] = Field(examples=[12])
    norm: Norm = Field(default="none", examples=["batch"])  # batch: batch normalization after every convolution
    mapping: dict[_Role, _Role] = Field(default={}, examples=["{conv2_2: conv2_1}"])  # role here: role in `after`
    fresh: list[_Role] = Field(default=[], examples=["[fc2]"])
    dropped: list[_Role] = Field(default=[], examples=["[fc2]"])
    frozen: _Frozen = Field(default=[], examples=["copied"])  # roles; [copied]: all that are copied
    start: PathText | None = Field(
        default=None, examples=["imports/vgg16-0a1b2c3d.safetensors"]
    )  # as deepen import names it


class Settings(Section):
    """All of params.yaml; the comments there explain each value."""

    data: str = Field(examples=["digits"])
    depth: str = Field(examples=["III"])
    lr: Annotated[Rate | None, auto] = Field(examples=[0.01])
    recipe: str = Field(examples=["onecycle"])
    growth: Growth = Field(examples=["identity"])
    width: Annotated[Width | None, auto] = Field(examples=[0.25])
    seed: int = Field(ge=0, lt=2**63, examples=[0])
    precision: Literal["auto", "float32", "bfloat16"] = Field(examples=["auto"])
    device: str = Field(pattern=r"^(auto|cpu|mps|cuda(:(0|[1-9][0-9]?))?)$", examples=["auto"])
    threads: Annotated[Annotated[int, Field(ge=1, le=1024)] | None, auto] = Field(examples=[2])
    val_fraction: float = Field(gt=0, lt=1, examples=[0.1])
    checkpoint_seconds: float = Field(ge=0, le=365 * 86_400, examples=[60])
    progress: Literal["quiet", "normal", "verbose"] = Field(examples=["normal"])
    saliency: int = Field(ge=0, le=100, examples=[8])
    tracking: Tracking = Field(default="none", examples=["mlflow"])
    datasets: dict[str, Dataset] = Field(min_length=1)
    recipes: dict[str, Recipe] = Field(min_length=1)
    models: dict[str, Model] = Field(min_length=1, max_length=1000)

    @property
    def dataset(self) -> Digits | Downloaded | Folder:
        """The settings of the data set that `data` names."""
        return self.datasets[self.data]

    @property
    def training(self) -> TrainingSettings:
        """The training settings of the recipe that `recipe` names."""
        return self.recipes[self.recipe].training

    @property
    def evaluation(self) -> EvaluationSettings:
        """The evaluation settings of the recipe that `recipe` names."""
        return self.recipes[self.recipe].evaluation

    def require_model(self, name: str) -> None:
        """Raise InputError if the ladder has no model of this name."""
        if name not in self.models:
            known = ", ".join(trim(list(self.models))) + suggest_name(name, self.models)
            raise InputError(f"params.yaml: models: unknown model {quote(name)[:60]}; use one of {known}")

    def view_shape(self, image: Image) -> Image:
        """Return the input shape of networks for prepared images; raises InputError if the view is larger."""
        with prefix_faults(f"params.yaml: datasets.{self.data}"):
            return self.dataset.view_shape(image)

    @property
    def network_width(self) -> float:
        """The factor on every channel and unit count."""
        return self.dataset.width if self.width is None else self.width

    @property
    def cpu_threads(self) -> int:
        """The number of CPU threads: steps of narrow networks are too short to benefit from two."""
        usual = 1 if self.network_width < _NARROW else 2
        return usual if self.threads is None else self.threads

    def batch_size(self, images: int) -> int:
        """Return the batch size for a number of training images."""
        return self.training.batch(images)

    def epochs(self, model: str, images: int) -> int:
        """Return the number of epochs of a model: its own setting, else by the recipe's rule for so many images."""
        epochs = self.models[model].epochs
        if epochs is not None:
            return epochs
        position, least = len(self.ancestors(model)), self.dataset.least_images
        return choose_epochs(self.training.epochs, position, least, images)

    def steps(self, model: str, images: int) -> int:
        """Return the number of training steps of a model on so many images."""
        return self.epochs(model, images) * (images // self.batch_size(images))

    def ancestors(self, model: str) -> list[str]:
        """Return the models that a model grows from, shallowest first."""
        chain: list[str] = []
        while (model := self.models[model].after) != SCRATCH:
            chain.insert(0, model)
        return chain

    def peak_lr(self, model: str) -> float:
        """Return the peak learning rate of a model; times `grown_lr` for one that starts from trained weights."""
        lr = self.training.lr if self.lr is None else self.lr
        starts_random = self.models[model].after == SCRATCH and self.models[model].start is None
        return lr if starts_random else lr * self.training.grown_lr


def load_settings(path: Path = Path("params.yaml")) -> Settings:
    """Read and validate params.yaml; raises InputError with every fault."""
    return check_settings(read_yaml(path, name=path.name), name=path.name)


def check_text(text: str, name: str = "params.yaml") -> Settings:
    """Validate the text of a params.yaml; raises InputError with every fault, each line starting with `name`."""
    return check_settings(parse_yaml(text, name), name=name)


def check_settings(content: object, name: str = "params.yaml") -> Settings:
    """Validate the content of params.yaml; raises InputError with every fault, each line starting with `name`."""
    if not isinstance(content, dict):
        raise InputError(f"{name}: must be a mapping, got {format_value(content)}; write for example data: digits")
    try:
        settings = Settings.model_validate(content)
        faults = []
    except ValidationError as error:
        faults = [format_fault(Settings, content, detail) for detail in error.errors()]
    faults += find_reference_faults(content)
    if faults:
        raise InputError([f"{name}: {fault}" for fault in faults])
    return settings
