"""Faults of a search before it starts: invalid settings, settings without effect, and trials that can't be compared."""

from collections.abc import Iterator, Mapping
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.experiments.changes import apply_changes, find_change_faults
from deepen.experiments.differences import find_differences
from deepen.search.space import Space

_NAME = "params.yaml, changed by the search"
_SPLIT = ("data", "val_fraction")  # settings that choose the validation images, with those of the data set below
_SOURCE = ("source", "root", "size", "labels", "columns")
_CHOOSERS = ("recipe",)  # settings that choose which of the others have an effect
_SEARCHED = (
    "lr",
    "recipe",
    "growth",
    "width",
    "datasets",
    "recipes",
    "models",
)  # what a network learns depends on them
_REASONS = {
    "seed": "a search would find the luckiest seed, not a better network; search another setting",
    "depth": "only chooses the model that is compared; give one, as in depth=III, and see deepen results for all",
    **dict.fromkeys(
        ("threads", "device", "precision"),
        "changes speed and rounding, not what is learned; give one value, or leave it out",
    ),
}
_NO_EFFECT = "changes no result of a training; leave it out"  # of all others, such as progress


def check_space(content: Mapping[str, Any], space: Space) -> None:
    """Raise InputError with all faults of a search of a params.yaml."""
    faults = dict.fromkeys(fault for name in space.varied for fault in _find_name_faults(name))
    for values in space.iter_neighbours():
        faults |= dict.fromkeys(find_change_faults(content, space.make_changes(values), "", _NAME))
    if not faults:
        faults |= dict.fromkeys(_find_effect_faults(content, space))
    if faults:
        raise InputError(list(faults))


def _find_name_faults(name: str) -> Iterator[str]:
    """Yield the fault of a setting that no search may vary: trials can't be compared, or no network gets better."""
    section, _, rest = _strip(name).partition(".")
    if section in _SPLIT or (section == "datasets" and rest.split(".")[1:2] and rest.split(".")[1] in _SOURCE):
        yield f"{quote(name)}: changes the validation images, so trials can't be compared; search another setting"
    elif section not in _SEARCHED:
        yield f"{quote(name)}: {_REASONS.get(section, _NO_EFFECT)}"
    if section == "recipes" and ".evaluation." in f".{rest}.":
        yield f"{quote(name)}: affects only the test, not validation accuracy; search a setting of training"


def _find_effect_faults(content: Mapping[str, Any], space: Space) -> Iterator[str]:
    """Yield a fault for each varied setting that never changes the training of the model that depth names."""
    for name in space.varied:
        low, high = space.list_examples(name)[:2]
        contexts = [space.first] + [
            space.first | {chooser: value}
            for chooser in _CHOOSERS
            if chooser in space.varied
            for value in space.list_examples(chooser)[1:]
        ]
        pairs = [
            [apply_changes(content, space.make_changes(each | {name: value})) for value in (low, high)]
            for each in contexts
        ]
        if not any(_strip(name) in find_differences(pair)[0] for pair in pairs):
            depth = pairs[0][0].get("depth")
            yield f"{quote(name)}: does not change the training of {quote(depth)} with these settings; leave it out"
        elif above := next((top for top in ("lr", "width") if _is_replaced(content, space, name, top)), None):
            yield f"{quote(name)}: {above} in params.yaml replaces it; add {above}=auto"


def _is_replaced(content: Mapping[str, Any], space: Space, name: str, top: str) -> bool:
    """Return whether a setting of a recipe or data set is replaced by the setting `top`, which is not auto."""
    owners = {"lr": ("recipes.", ".training.lr"), "width": ("datasets.", ".width")}
    first, last = owners[top]
    given = apply_changes(content, space.make_changes(space.first)).get(top)
    return _strip(name).startswith(first) and name.endswith(last) and given != "auto"


def _strip(name: str) -> str:
    return name.lstrip("+").removeprefix("params.yaml:")
