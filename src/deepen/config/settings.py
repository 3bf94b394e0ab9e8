"""params.yaml -> checked, frozen settings; every fault at once, by its full path, with the rule and the remedy."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from deepen.config.automatic import automatic_epochs
from deepen.config.dataset_settings import Dataset, Digits, Downloaded, Folder, Image, Width
from deepen.config.recipes import Epochs, Evaluation, Rate, Recipe, Training
from deepen.config.references import reference_faults
from deepen.config.section import PathText, Section, auto
from deepen.config.validation import fault_sentence, show
from deepen.core.errors import InputError, about
from deepen.core.names import SCRATCH
from deepen.core.yaml_reading import parse_yaml, read_yaml
from deepen.models.freezing import COPIED
from deepen.models.layers import Norm

_NARROW = 0.125  # of the width; below it two threads wait for each other longer than they compute
Growth = Literal["identity", "copy", "random"]
_Role = Annotated[str, Field(max_length=64)]


def _list_of_copied(value: object) -> object:
    if not isinstance(value, list) and value != COPIED:
        raise PydanticCustomError("frozen", "must be a list of layers, or copied")
    return [COPIED] if value == COPIED else value


_Frozen = Annotated[list[_Role], BeforeValidator(_list_of_copied)]


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
    """All of params.yaml; the comments there say what each value means."""

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
    datasets: dict[str, Dataset] = Field(min_length=1)
    recipes: dict[str, Recipe] = Field(min_length=1)
    models: dict[str, Model] = Field(min_length=1, max_length=1000)

    @property
    def dataset(self) -> Digits | Downloaded | Folder:
        """The data set that `data` names."""
        return self.datasets[self.data]

    @property
    def training(self) -> Training:
        """How the recipe that `recipe` names trains."""
        return self.recipes[self.recipe].training

    @property
    def evaluation(self) -> Evaluation:
        """How the recipe that `recipe` names evaluates."""
        return self.recipes[self.recipe].evaluation

    def seen(self, image: Image) -> Image:
        """What networks see of prepared images of this shape; raises InputError where that is more than there is."""
        with about(f"params.yaml: datasets.{self.data}"):
            return self.dataset.seen(image)

    @property
    def network_width(self) -> float:
        """What every channel and unit count is multiplied by."""
        return self.dataset.width if self.width is None else self.width

    @property
    def cpu_threads(self) -> int:
        """How many threads compute on the CPU: steps of narrow networks are too short to be shared."""
        usual = 1 if self.network_width < _NARROW else 2
        return usual if self.threads is None else self.threads

    def batch_size(self, images: int) -> int:
        """How many of so many training images a step learns from."""
        return self.training.batch(images)

    def epochs(self, model: str, images: int) -> int:
        """How often a model learns from each of so many training images: what it says, or by the recipe's rule."""
        asked, training = self.models[model].epochs, self.training
        if asked is not None:
            return asked
        return automatic_epochs(training.epochs, len(self.ancestors(model)), training.least_images, images)

    def steps(self, model: str, images: int) -> int:
        """How many steps a model's training has on so many images."""
        return self.epochs(model, images) * (images // self.batch_size(images))

    def ancestors(self, model: str) -> list[str]:
        """The models that a model grows from, shallowest first."""
        chain: list[str] = []
        while (model := self.models[model].after) != SCRATCH:
            chain.insert(0, model)
        return chain

    def peak_lr(self, model: str) -> float:
        """The highest learning rate of a model's training: lower, by `grown_lr`, for one that starts trained."""
        lr = self.training.lr if self.lr is None else self.lr
        from_nothing = self.models[model].after == SCRATCH and self.models[model].start is None
        return lr if from_nothing else lr * self.training.grown_lr


def load_settings(path: Path = Path("params.yaml")) -> Settings:
    """Read and check params.yaml; raises InputError with every fault."""
    return check_settings(read_yaml(path, name=path.name), name=path.name)


def check_text(text: str, name: str = "params.yaml") -> Settings:
    """Check the text of a params.yaml; raises InputError with every fault, each line opening with `name`."""
    return check_settings(parse_yaml(text, name), name=name)


def check_settings(content: object, name: str = "params.yaml") -> Settings:
    """Check what params.yaml holds; raises InputError with every fault, each line opening with `name`."""
    if not isinstance(content, dict):
        raise InputError(f"{name}: must hold keys and values, got {show(content)}; write for example data: digits")
    try:
        settings = Settings.model_validate(content)
        faults = []
    except ValidationError as error:
        faults = [fault_sentence(Settings, content, detail) for detail in error.errors()]
    faults += reference_faults(content)
    if faults:
        raise InputError([f"{name}: {fault}" for fault in faults])
    return settings
