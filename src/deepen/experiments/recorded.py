"""Compare a dvc.lock with a params.yaml, to tell whether results were made with its settings."""

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from deepen.core.lookup import MISSING, get_setting

_STAGE = re.compile(r"^  (\S+):\n((?:    .*\n)+)", re.MULTILINE)
_FILE = re.compile(r"^    - path: (.*)\n((?:      .*\n)*)", re.MULTILINE)
_PARAMS = re.compile(r"^    params:\n      params\.yaml:\n((?:        .*\n)+)", re.MULTILINE)
_MODEL_STAGES = ("transfer", "train", "evaluate")
_CODE = ("pipeline/", "src/", "data/installed/")  # dependencies that are code, or checksums of it


@dataclass(frozen=True)
class _Stage:
    """The last run of a stage: the MD5 by path of its dependencies and outputs, and its settings as YAML."""

    deps: Mapping[str, str]
    outs: Mapping[str, str]
    params: str


def find_changes(lock: str, settings: Mapping[str, object], stage: str = "report") -> list[str] | None:
    """Return what has changed since the last run of a stage and its upstream stages: paths of settings and files.

    Empty if the results were made with these `settings`, the content of a params.yaml; None if the stage has not run.
    Only files that are outputs of stages are compared. `lock` is the text of a dvc.lock.
    """
    stages = _parse_stages(lock)
    if stage not in stages:
        return None
    made = {path: md5 for each in stages.values() for path, md5 in each.outs.items()}
    changes: dict[str, None] = {}  # an ordered set
    for each in _list_upstream(stages, stage):
        changes |= dict.fromkeys(_iter_changed_settings(each.params, settings))
        changes |= {path: None for path, md5 in each.deps.items() if made.get(path, md5) != md5}
    return [path for path in changes if not any(path.startswith(f"{other}.") for other in changes)]


def list_outputs(lock: str, stage: str) -> list[str]:
    """Return the paths of the outputs of a stage and its upstream stages, in the text of a dvc.lock."""
    return [path for each in _list_upstream(_parse_stages(lock), stage) for path in each.outs]


def _list_upstream(stages: Mapping[str, _Stage], stage: str) -> list[_Stage]:
    """Return a stage and those that made its dependencies, directly or not."""
    makers = {path: name for name, each in stages.items() for path in each.outs}
    names = [stage]
    for name in names:  # which grows meanwhile
        names += dict.fromkeys(
            makers[path] for path in stages[name].deps if path in makers and makers[path] not in names
        )
    return [stages[name] for name in names]


def list_removed_models(changes: Sequence[str], settings: Mapping[str, object]) -> list[str]:
    """Return the models among changed settings that a params.yaml no longer has."""
    paths = [path.split(".") for path in changes if get_setting(settings, path) is MISSING]
    return [path[1] for path in paths if path[0] == "models" and len(path) == 2]


def find_code_changes(lock: str, model: str, other: str) -> list[str]:
    """Return the code that has changed between the last runs of the stages of two models, in the text of a dvc.lock."""
    stages = _parse_stages(lock)
    changes: dict[str, None] = {}  # an ordered set
    for kind in _MODEL_STAGES:
        one, two = (stages[name].deps if (name := f"{kind}@{each}") in stages else {} for each in (model, other))
        changes |= {path: None for path, md5 in one.items() if path.startswith(_CODE) and two.get(path, md5) != md5}
    return list(changes)


def get_md5(lock: str, path: str) -> str:
    """Return the MD5 of an output in the text of a dvc.lock; empty if it has none."""
    return next((each.outs[path] for each in _parse_stages(lock).values() if path in each.outs), "")


def hash_code(lock: str) -> str:
    """Return a hash of the code that trained and evaluated the models, from the text of a dvc.lock."""
    files = {
        (path, md5)
        for name, each in _parse_stages(lock).items()
        for path, md5 in each.deps.items()
        if name.partition("@")[0] in _MODEL_STAGES and path.startswith(_CODE)
    }
    return hashlib.md5(repr(sorted(files)).encode(), usedforsecurity=False).hexdigest()


def _parse_stages(lock: str) -> dict[str, _Stage]:
    return {name: _parse_stage(text) for name, text in _STAGE.findall(lock)}


@functools.cache
def _parse_stage(text: str) -> _Stage:
    deps, _, outs = text.partition("    outs:\n")
    params = _PARAMS.search(deps)
    return _Stage(dict(_iter_files(deps)), dict(_iter_files(outs)), params[1] if params else "")


def _iter_files(text: str) -> Iterator[tuple[str, str]]:
    for path, rest in _FILE.findall(text):
        md5 = re.search(r"^      md5: (\S+)$", rest, re.MULTILINE)
        yield path, md5[1] if md5 else ""


def _iter_changed_settings(params: str, settings: Mapping[str, object]) -> Iterator[str]:
    for path, value in _parse_params(params).items():
        current = get_setting(settings, path)
        if isinstance(value, dict) and isinstance(current, dict):
            yield from (f"{path}.{key}" for key in {**value, **current} if value.get(key) != current.get(key))
        elif current != value:
            yield path


@functools.cache
def _parse_params(text: str) -> dict[str, object]:
    try:
        return dict(YAML(typ="safe", pure=True).load(text) or {})
    except (YAMLError, TypeError, ValueError):
        return {"dvc.lock": object()}  # differs from any setting
