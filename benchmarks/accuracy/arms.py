"""The arms of a comparison, read from a YAML file: each says what is trained for a budget of FLOPs."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from benchmarks.accuracy.by_budget import KINDS, ByBudget, check_budget, check_budgets_differ, choose_by_budget
from benchmarks.peer.recipes import RECIPES, PeerRecipe
from deepen.config.section import Section
from deepen.config.settings import Settings, check_settings
from deepen.config.validation import format_fault
from deepen.core.errors import InputError
from deepen.core.names import SCRATCH
from deepen.core.yaml_reading import read_yaml

M = TypeVar("M", bound=BaseModel)
_SET_BY_ARM = {  # settings that `changes` may not have
    "data": "images are those of the command line",
    "seed": "seeds are counted by the budget",
    "precision": "write it beside changes",
    "width": "write it beside changes",
}
_Width = Annotated[float, Field(gt=0, le=16)]
Precision = Literal["auto", "float32", "bfloat16"]


class Arm(Section):
    """What one arm trains: the models of a params.yaml, or the peer.

    `params`, `models`, `width` and `changes` may differ by budget: a mapping from the least budget (PFLOP) on which a
    value applies. Epochs follow: one factor on those of all rungs makes the arm cost the budget.
    """

    params: ByBudget[str] = Field(default="params.yaml", examples=["params.yaml"])
    models: ByBudget[list[str]] = Field(default=[], examples=["[I, II, III]"])  # default: the ladder up to `depth`
    peer: Literal["sgd", "muon"] | None = Field(default=None, examples=["muon"])
    width: ByBudget[_Width] | None = Field(default=None, examples=[0.25])
    changes: ByBudget[dict[str, Any]] = Field(default={}, examples=["{lr: 0.02}"])  # by dotted paths
    precision: Precision = Field(default="auto", examples=["auto"])
    against: list[str] = Field(default=[], examples=["[peer-muon]"])  # arms to compare with

    def get_width(self, budget: float) -> float | None:
        """Return the width for a budget (PFLOP); None is that of params.yaml."""
        width: float | None = choose_by_budget(self.width, budget)
        return width

    def load_settings(self, budget: float, seed: int) -> Settings:
        """Load the settings for images of a folder, with the arm's changes; raises InputError."""
        params = choose_by_budget(self.params, budget)
        content = read_yaml(Path(params))
        if not isinstance(content, dict):
            raise InputError(f"{params}: must be a mapping of settings; name a params.yaml")
        width, changes = self.get_width(budget), choose_by_budget(self.changes, budget)
        if refused := [f"changes.{path}: {_SET_BY_ARM[path]}; remove it" for path in changes if path in _SET_BY_ARM]:
            raise InputError(refused)
        of_arm = {"data": "folder", "seed": seed, "precision": self.precision}
        of_arm |= {} if width is None else {"width": width}
        for path, value in (of_arm | changes).items():
            _change(content, path, value, params)
        names: list[str] = choose_by_budget(self.models, budget)
        settings = _choose_models(check_settings(content, name=params), names, params)
        _check_training(settings)
        return settings

    def load_recipe(self, budget: float) -> PeerRecipe:
        """Return the peer's recipe for a budget (PFLOP), with the arm's changes; raises InputError."""
        assert self.peer
        content = RECIPES[self.peer].model_dump() | choose_by_budget(self.changes, budget)
        if ignored := [name for name in ("params", "models") if name in self.model_fields_set]:
            raise InputError(f"{ignored[0]}: the peer has its own network and settings; remove {ignored[0]} or peer")
        return _validate(PeerRecipe, content, prefix="changes.")


class Comparison(Section):
    """Budgets (PFLOP) with their numbers of seeds, and arms."""

    budgets: Annotated[
        dict[Annotated[str, AfterValidator(check_budget)], Annotated[int, Field(ge=1)]],
        AfterValidator(check_budgets_differ),
    ] = Field(min_length=1, examples=['{"0.03": 5}'])
    arms: dict[str, Arm] = Field(min_length=1)


def load_comparison(path: Path) -> Comparison:
    """Read a file of arms; raises InputError with every fault."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping with budgets and arms; see the file beside this program")
    comparison = _validate(Comparison, content, prefix=f"{path}: ")
    known = ", ".join(comparison.arms)
    faults = [
        f"{path}: arms.{name}.against: unknown arm {other!r}; use one of {known}"
        for name, arm in comparison.arms.items()
        for other in arm.against
        if other not in comparison.arms
    ]
    if faults:
        raise InputError(faults)
    return comparison


def _validate(kind: type[M], content: Mapping[str, Any], *, prefix: str) -> M:
    """Validate the content of a file or of a part of it; raises InputError with every fault, each after the prefix."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        details = [
            detail | {"loc": tuple(part for part in detail["loc"] if part not in (*KINDS, "[key]"))}
            for detail in error.errors()
        ]
        raise InputError([prefix + format_fault(kind, content, detail) for detail in details]) from error


def _choose_models(settings: Settings, names: list[str], params: str) -> Settings:
    """Keep these models only, each after the one before; without names, the ladder up to `depth`."""
    names = names or [*settings.ancestors(settings.depth), settings.depth]
    if unknown := [name for name in names if name not in settings.models]:
        raise InputError(f"models: unknown model {unknown[0]!r}; {params} has {', '.join(settings.models)}")
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"models: {repeated[0]} is named {names.count(repeated[0])} times; name each model once")
    before = dict(zip(names, [SCRATCH, *names], strict=False))
    alone: dict[str, Any] = {"mapping": {}, "fresh": [], "dropped": []}  # of a model that nothing is copied to
    models = {
        name: settings.models[name].model_copy(update={"after": before[name]} | (alone if name == names[0] else {}))
        for name in names
    }
    return settings.model_copy(update={"models": models, "depth": names[-1]})


def _check_training(settings: Settings) -> None:
    """Raise InputError for what no arm does: use validation images in training, or start from a weights file."""
    started = [name for name, model in settings.models.items() if model.start is not None]
    faults = [f"models.{name}.start: every arm starts untrained; remove start" for name in started]
    recipe = f"recipes.{settings.recipe}.training"
    if settings.training.schedule.name == "plateau":
        faults.append(f"{recipe}.schedule.name: plateau needs validation images, and there are none; use onecycle")
    if settings.training.patience is not None:
        faults.append(f"{recipe}.patience: early stopping needs validation images, and there are none; set none")
    if faults:
        raise InputError(faults)


def _change(content: Any, path: str, value: Any, params: str) -> None:
    """Set a setting by its dotted path; raises InputError for an unknown section."""
    *parents, last = path.split(".")
    for key in parents:
        content = content.get(key)
        if not isinstance(content, dict):
            raise InputError(f"changes.{path}: {params} has no section {key!r}; use the path of one of its settings")
    content[last] = value
