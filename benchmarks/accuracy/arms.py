"""The arms of a comparison, read from a YAML file: each says what is trained for a budget of FLOPs."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from benchmarks.peer.recipes import RECIPES, PeerRecipe
from deepen.config.section import Section
from deepen.config.settings import Settings, check_settings
from deepen.config.validation import format_fault
from deepen.core.errors import InputError
from deepen.core.names import SCRATCH
from deepen.core.yaml_reading import read_yaml

_Width = Annotated[float, Field(gt=0, le=16)]
_PFLOP = r"^[0-9]+(\.[0-9]+)?$"
_Pflop = Annotated[str, Field(pattern=_PFLOP)]  # YAML keys are text
Precision = Literal["auto", "float32", "bfloat16"]
_Changes = dict[_Pflop, dict[str, Any]] | dict[str, Any]


class Arm(Section):
    """What one arm trains: the models of a params.yaml, or the peer.

    `params`, `models`, `width` and `changes` may differ by budget: a mapping from the least budget (PFLOP) on which a
    value applies. Epochs follow: one factor on those of all rungs makes the arm cost the budget.
    """

    params: str | dict[_Pflop, str] = Field(default="params.yaml", examples=["params.yaml"])
    models: list[str] | dict[_Pflop, list[str]] = Field(
        default=[], examples=["[I, II, III]"]
    )  # default: the ladder up to `depth`
    peer: str | None = Field(default=None, examples=["muon"])
    width: _Width | dict[_Pflop, _Width] | None = Field(default=None, examples=[0.25])
    changes: _Changes = Field(default={}, examples=["{lr: 0.02}"], union_mode="left_to_right")  # by dotted paths
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
        width = self.get_width(budget)
        changes = {"data": "folder", "seed": seed, "precision": self.precision}
        changes |= ({} if width is None else {"width": width}) | choose_by_budget(self.changes, budget)
        for path, value in changes.items():
            _change(content, path, value, params)
        names: list[str] = choose_by_budget(self.models, budget)
        return _choose_models(check_settings(content, name=params), names, params)

    def load_recipe(self, budget: float) -> PeerRecipe:
        """Return the peer's recipe for a budget (PFLOP), with the arm's changes; raises InputError."""
        if self.peer not in RECIPES:
            raise InputError(f"peer: must be one of {', '.join(RECIPES)}, got {self.peer!r}; change it")
        content = RECIPES[self.peer].model_dump() | choose_by_budget(self.changes, budget)
        try:
            return PeerRecipe.model_validate(content)
        except ValidationError as error:
            faults = [format_fault(PeerRecipe, content, detail) for detail in error.errors()]
            raise InputError([f"changes.{fault}" for fault in faults]) from error


class Comparison(Section):
    """Budgets (PFLOP) with their numbers of seeds, and arms."""

    budgets: dict[_Pflop, Annotated[int, Field(ge=1)]] = Field(min_length=1, examples=['{"0.03": 5}'])
    arms: dict[str, Arm] = Field(min_length=1)


def load_comparison(path: Path) -> Comparison:
    """Read a file of arms; raises InputError with every fault."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping with budgets and arms; see the file beside this program")
    try:
        comparison = Comparison.model_validate(content)
    except ValidationError as error:
        faults = [format_fault(Comparison, content, detail) for detail in error.errors()]
        raise InputError([f"{path}: {fault}" for fault in faults]) from error
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


def _choose_models(settings: Settings, names: list[str], params: str) -> Settings:
    """Keep these models only, each after the one before; without names, the ladder up to `depth`."""
    names = names or [*settings.ancestors(settings.depth), settings.depth]
    if unknown := [name for name in names if name not in settings.models]:
        raise InputError(f"models: unknown model {unknown[0]!r}; {params} has {', '.join(settings.models)}")
    before = dict(zip(names, [SCRATCH, *names], strict=False))
    alone: dict[str, Any] = {"mapping": {}, "fresh": [], "dropped": []}  # of a model that nothing is copied to
    models = {
        name: settings.models[name].model_copy(update={"after": before[name]} | (alone if name == names[0] else {}))
        for name in names
    }
    return settings.model_copy(update={"models": models, "depth": names[-1]})


def choose_by_budget(values: Any, budget: float) -> Any:
    """Return the value of the greatest budget that is not above this one (PFLOP); raises InputError.

    Values that are not a mapping from budgets are the same for all.
    """
    if not isinstance(values, dict) or not values or not all(re.match(_PFLOP, key) for key in values):
        return values
    below = [key for key in values if float(key) <= budget]
    if not below:
        raise InputError(f"no value for a budget of {budget:g} PFLOP; the least is {min(values, key=float)}, lower it")
    return values[max(below, key=float)]


def _change(content: Any, path: str, value: Any, params: str) -> None:
    """Set a setting by its dotted path; raises InputError for an unknown section."""
    *parents, last = path.split(".")
    for key in parents:
        content = content.get(key)
        if not isinstance(content, dict):
            raise InputError(f"changes.{path}: {params} has no section {key!r}; use the path of one of its settings")
    content[last] = value
