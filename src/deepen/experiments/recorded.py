"""Whether results belong to settings: what dvc.lock says of the stages that made them, held to a params.yaml."""

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_STAGE = re.compile(r"^  (\S+):\n((?:    .*\n)+)", re.MULTILINE)
_FILE = re.compile(r"^    - path: (.*)\n((?:      .*\n)*)", re.MULTILINE)
_PARAMS = re.compile(r"^    params:\n      params\.yaml:\n((?:        .*\n)+)", re.MULTILINE)
_MISSING = object()


@dataclass(frozen=True)
class _Stage:
    """A stage as it last ran: MD5 by path of the files that it read and wrote, and its settings as YAML."""

    deps: Mapping[str, str]
    outs: Mapping[str, str]
    params: str


def changed_since(lock: str, settings: Mapping[str, object], stage: str = "report") -> list[str] | None:
    """What has changed since a stage and all that it builds on last ran: settings by their path, or names of files.

    Empty where its results are those of these `settings`, the content of a params.yaml; None where it has not run. Of
    files those alone are looked at that other stages write. `lock` is the text of a dvc.lock.
    """
    stages = _stages(lock)
    if stage not in stages:
        return None
    makers = {path: name for name, each in stages.items() for path in each.outs}
    found: dict[str, None] = {}  # in the order of insertion
    left, seen = [stage], {stage}
    while left:
        each = stages[left.pop()]
        found |= dict.fromkeys(_changed_settings(each.params, settings))
        for path, md5 in each.deps.items():
            if (maker := makers.get(path)) is not None:
                found |= {path: None} if stages[maker].outs[path] != md5 else {}
                left += [maker] if maker not in seen else []
                seen.add(maker)
    return list(found)


def recorded(lock: str, path: str) -> str:
    """The MD5 of a file as the stage that wrote it left it; empty where the text of a dvc.lock has none."""
    return next((each.outs[path] for each in _stages(lock).values() if path in each.outs), "")


def code_of(lock: str) -> str:
    """A hash of the code that trained and evaluated the models, by the text of a dvc.lock."""
    files = {
        (path, md5)
        for name, each in _stages(lock).items()
        for path, md5 in each.deps.items()
        if name.startswith(("transfer@", "train@", "evaluate@")) and path.endswith(".py")
    }
    return hashlib.md5(repr(sorted(files)).encode(), usedforsecurity=False).hexdigest()


def _stages(lock: str) -> dict[str, _Stage]:
    return {name: _read(text) for name, text in _STAGE.findall(lock)}


@functools.cache
def _read(text: str) -> _Stage:
    deps, _, outs = text.partition("    outs:\n")
    params = _PARAMS.search(deps)
    return _Stage(dict(_files(deps)), dict(_files(outs)), params[1] if params else "")


def _files(text: str) -> Iterator[tuple[str, str]]:
    for path, rest in _FILE.findall(text):
        md5 = re.search(r"^      md5: (\S+)$", rest, re.MULTILINE)
        yield path, md5[1] if md5 else ""


def _changed_settings(params: str, settings: Mapping[str, object]) -> Iterator[str]:
    for path, value in _as_yaml(params).items():
        found = setting(settings, path)
        if isinstance(value, dict) and isinstance(found, dict):
            yield from (f"{path}.{key}" for key in {**value, **found} if value.get(key) != found.get(key))
        elif found != value:
            yield path


@functools.cache
def _as_yaml(text: str) -> dict[str, object]:
    try:
        return dict(YAML(typ="safe", pure=True).load(text) or {})
    except (YAMLError, TypeError, ValueError):
        return {"dvc.lock": object()}  # which differs from any setting


def setting(settings: object, path: str) -> object:
    """The setting at a path such as models.I.epochs; what equals nothing else where there is none."""
    for key in path.split("."):
        settings = settings.get(key, _MISSING) if isinstance(settings, dict) else _MISSING
    return settings
