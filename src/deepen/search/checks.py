"""Faults of a search before it starts: invalid settings, settings without effect, and trials that can't be compared."""

from collections.abc import Iterator, Mapping
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.experiments.changes import apply_changes, find_change_faults
from deepen.search.effects import find_training_faults
from deepen.search.space import Space
from deepen.search.trainings import NAME, Images, Trainings

_SPLIT = ("data", "val_fraction")  # settings that choose the validation images, with those of the data set below
_SOURCE = ("source", "root", "size", "labels", "columns")
# what a network learns depends on them
_SEARCHED = ("lr", "recipe", "growth", "width", "datasets", "recipes", "models")
_REASONS = {
    "seed": "a search would find the luckiest seed, not a better network; search another setting",
    "depth": "only chooses the model that is compared; give one, as in depth=III, and see deepen results for all",
    **dict.fromkeys(
        ("threads", "device", "precision"),
        "changes speed and rounding, not what is learned; give one value, or leave it out",
    ),
}
_NO_EFFECT = "changes no result of a training; leave it out"  # of all others, such as progress


def check_space(content: Mapping[str, Any], space: Space, images: Images | None) -> Trainings:
    """Return the trainings of a search of a params.yaml; raises InputError with all its faults.

    `images` is None if their shape is not known yet; then ladders are not checked against them.
    """
    trainings = Trainings(content, space, images)
    faults = dict.fromkeys(fault for name in space.varied for fault in _find_name_faults(name))
    for values in space.iter_neighbours():
        faults |= dict.fromkeys(find_change_faults(content, space.make_changes(values), "", NAME))
    if not faults:
        faults |= dict.fromkeys(_find_effect_faults(content, space, trainings))
    if faults:
        raise InputError(list(faults))
    return trainings


def _find_name_faults(name: str) -> Iterator[str]:
    """Yield the fault of a setting that no search may vary: trials can't be compared, or no network gets better."""
    section, _, rest = _strip(name).partition(".")
    if section in _SPLIT or (section == "datasets" and rest.split(".")[1:2] and rest.split(".")[1] in _SOURCE):
        yield f"{quote(name)}: changes the validation images, so trials can't be compared; search another setting"
    elif section not in _SEARCHED:
        yield f"{quote(name)}: {_REASONS.get(section, _NO_EFFECT)}"
    if section == "recipes" and ".evaluation." in f".{rest}.":
        yield f"{quote(name)}: affects only the test, not validation accuracy; search a setting of training"


def _find_effect_faults(content: Mapping[str, Any], space: Space, trainings: Trainings) -> Iterator[str]:
    """Yield the faults of settings without effect on trainings; those that another one replaces name that."""
    depth = apply_changes(content, space.make_changes(space.first))["depth"]
    for name, fault in find_training_faults(trainings, space, depth):
        above = next((top for top in ("lr", "width") if _is_replaced(content, space, name, top)), None)
        yield f"{quote(name)}: {above} in params.yaml replaces it; add {above}=auto" if above else fault


def _is_replaced(content: Mapping[str, Any], space: Space, name: str, top: str) -> bool:
    """Return whether a setting of a recipe or data set is replaced by the setting `top`, which is not auto."""
    owners = {"lr": ("recipes.", ".training.lr"), "width": ("datasets.", ".width")}
    first, last = owners[top]
    given = apply_changes(content, space.make_changes(space.first)).get(top)
    return _strip(name).startswith(first) and name.endswith(last) and given != "auto"


def _strip(name: str) -> str:
    return name.lstrip("+").removeprefix("params.yaml:")
