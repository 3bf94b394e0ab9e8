"""Settings of the studies: read and validate study/params.yaml, whose comments explain each value."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from deepen.config.recipes import TrainingSettings
from deepen.config.section import Section
from deepen.config.settings import Growth, Settings
from deepen.core.errors import InputError
from deepen.core.yaml_reading import read_yaml
from deepen.models.layers import Norm

PROJECT = Path(os.environ.get("DVC_ROOT", "study")).parent  # the base of relative paths in its params.yaml
SOURCE = Path("study/data/source.json")


class Arm(Section):
    """One way to train a target model."""

    target: str
    shares: dict[str, float] = Field(default={})
    growth: Growth = "identity"
    norm: Norm = "none"
    start: Literal["he", "pytorch"] = "he"
    recipe: str = "onecycle"
    changes: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if not all(share > 0 for share in self.shares.values()) or sum(self.shares.values()) >= 1:
            raise ValueError("shares must be above 0 and leave some of the compute to the target")
        return self

    def training(self, settings: Settings) -> TrainingSettings:
        """Return the recipe's training with the arm's changes; raises ValidationError if one of them is invalid."""
        content = settings.recipes[self.recipe].training.model_dump()
        content["batch_size"] = content["batch_size"] or "auto"
        content["patience"] = content["patience"] or "none"
        for path, value in self.changes.items():
            *parents, last = path.split(".")
            node = content
            for key in parents:
                node = node.setdefault(key, {})
            node[last] = value
        return TrainingSettings.model_validate(content)


class Study(Section):
    """Arms of equal compute, and the settings they share."""

    images: int = Field(ge=1)
    curve_images: int = Field(ge=1)
    width: float = Field(gt=0)
    seeds: list[int] = Field(min_length=2)
    compute: dict[str, float]
    against: dict[str, str]
    arms: dict[str, Arm] = Field(min_length=1)


class Studies(Section):
    """The whole of study/params.yaml."""

    data: str
    growing: Study
    recipe: Study

    def __getitem__(self, name: str) -> Study:
        return {"growing": self.growing, "recipe": self.recipe}[name]


def load_studies(settings: Settings, path: Path = Path("study/params.yaml")) -> Studies:
    """Load the studies' settings and validate them against the project's; raises InputError with all errors."""
    try:
        studies = Studies.model_validate(read_yaml(path))
    except ValidationError as error:
        raise InputError([f"{path}: {fault}" for fault in _format_errors(error)]) from error
    faults = [f"{name}.{fault}" for name in ("growing", "recipe") for fault in _find_faults(studies[name], settings)]
    if studies.data not in settings.datasets:
        faults.append(f"data: unknown data set {studies.data!r}; write one of: {', '.join(settings.datasets)}")
    if faults:
        raise InputError([f"{path}: {fault}" for fault in faults])
    return studies


def _format_errors(error: ValidationError) -> list[str]:
    errors = [(".".join(map(str, fault["loc"])), fault["msg"], fault["input"]) for fault in error.errors()]
    return [f"{key}: {rule}, got {value!r}; fix this value" for key, rule, value in errors]


def _find_faults(study: Study, settings: Settings) -> Iterator[str]:
    for name, arm in study.arms.items():
        if arm.target not in settings.models or arm.target not in study.compute:
            yield f"arms.{name}.target: {arm.target!r} must be one of the models, and listed under compute"
            continue
        before = settings.ancestors(arm.target)
        if arm.shares and set(arm.shares) != set(before):
            names = ", ".join(before) or "none"
            yield f"arms.{name}.shares: must name exactly the models that {arm.target} grows from: {names}"
        if study.arms.get(study.against.get(arm.target, "")) is None:
            yield f"against.{arm.target}: must name one of the arms, the baseline of the arms of {arm.target}"
        if arm.recipe not in settings.recipes:
            yield f"arms.{name}.recipe: unknown recipe {arm.recipe!r}; write one of: {', '.join(settings.recipes)}"
            continue
        try:
            arm.training(settings)
        except ValidationError as error:
            yield from (f"arms.{name}.changes: {fault}" for fault in _format_errors(error))
