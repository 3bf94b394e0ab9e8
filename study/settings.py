"""study/params.yaml -> checked settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepen.errors import InputError
from deepen.settings import SCRATCH, Growth, Settings


class Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Arm(Section):
    """One way to reach a target; the comments in params.yaml say what each value means."""

    target: str
    shares: dict[str, float] = {}
    growth: Growth = "identity"
    start: Literal["he", "pytorch"] = "he"
    recipe: str = "onecycle"

    @model_validator(mode="after")
    def _something_is_left_for_the_target(self) -> Self:
        if not all(share > 0 for share in self.shares.values()) or sum(self.shares.values()) >= 1:
            raise ValueError("shares must be above 0 and leave some of the compute to the target")
        return self


class Study(Section):
    """All of study/params.yaml."""

    data: str
    images: int = Field(ge=1)
    curve_images: int = Field(ge=1)
    width: float = Field(gt=0)
    seeds: list[int] = Field(min_length=2)
    compute: dict[str, float]
    arms: dict[str, Arm] = Field(min_length=1)

    def scratch(self, target: str) -> str:
        """The arm that others of this target are held against: the first without shallower models."""
        return next(name for name, arm in self.arms.items() if arm.target == target and not arm.shares)


def load_study(settings: Settings, path: Path = Path("study/params.yaml")) -> Study:
    """Read the study's settings and check them against the project's; raises InputError with every fault."""
    try:
        study = Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        found = [(".".join(map(str, fault["loc"])), fault["msg"], fault["input"]) for fault in error.errors()]
        faults = [f"{path}: {where}: {rule}, got {value!r}; mend it there" for where, rule, value in found]
        raise InputError(faults) from error
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: can't be read ({' '.join(str(error).split())}); mend it there") from error
    if faults := list(_faults(study, settings)):
        raise InputError([f"{path}: {fault}" for fault in faults])
    return study


def _faults(study: Study, settings: Settings) -> Iterator[str]:
    if study.data not in settings.datasets:
        yield f"data: {study.data!r} is none of the datasets: {', '.join(settings.datasets)}"
    for name, arm in study.arms.items():
        if arm.target not in settings.models or arm.target not in study.compute:
            yield f"arms.{name}.target: {arm.target!r} must be one of the models, and listed under compute"
            continue
        before = ancestors(arm.target, settings)
        if arm.shares and set(arm.shares) != set(before):
            yield f"arms.{name}.shares: must name what {arm.target} grows from: {', '.join(before) or 'nothing'}"
        if arm.recipe not in settings.recipes:
            yield f"arms.{name}.recipe: {arm.recipe!r} is none of the recipes: {', '.join(settings.recipes)}"
        if all(other.shares for other in study.arms.values() if other.target == arm.target):
            yield f"arms.{name}: no arm reaches {arm.target} from scratch; add one without shares to compare with"


def ancestors(model: str, settings: Settings) -> list[str]:
    """The models that a model grows from, shallowest first."""
    chain: list[str] = []
    while (model := settings.models[model].after) != SCRATCH:
        chain.insert(0, model)
    return chain
