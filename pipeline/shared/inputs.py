"""What a stage depends on must stay as it is while it runs: DVC records dependencies after the command has ended.

So what dvc.yaml names is looked at before anything else of this project is imported, and again before anything is
written. Of settings the values count, of code the content, of other files size and time.
"""

import hashlib
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_CODE = ("src/deepen", "pipeline", "study")
_SETTINGS = ("params.yaml", "study/params.yaml")
_TEXTS = (".py", ".yaml", ".css", ".j2")
_NAME = re.compile(r"\$\{([^}]+)\}")


def _state(path: Path) -> str:
    """What is compared of a file: the content of code and settings, else size and time; missing files have none."""
    try:
        if path.suffix in _TEXTS:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        found = path.stat()
    except OSError:
        return "missing"
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _code_in(folder: Path) -> list[Path]:
    """The files of a folder of code that `.dvcignore` does not leave out."""
    return sorted(path for path in folder.rglob("*") if path.suffix in _TEXTS)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


# As this process found them; what is imported or read later is the same, or is noticed.
_CODE_AT_START = {path: _state(path) for folder in _CODE for path in _code_in(Path(folder))}
_TEXT_AT_START = {name: _text(Path(name)) for name in _SETTINGS}


class Inputs:
    """What dvc.yaml names for the stage whose command this process runs, as it is before the stage reads it."""

    def __init__(self, module: str, words: Sequence[str]) -> None:
        folder = Path("study") if module.startswith("study.") else Path()
        settings = _parse(_TEXT_AT_START[str(folder / "params.yaml")])
        stages = _parse(_text(folder / "dvc.yaml")).get("stages", {})
        command = " ".join(["python", "-m", module, *words])
        self.stage = next((stage for stage in _expanded(stages, settings) if _runs(stage, command)), None)
        self._folder = folder
        self._files = {path: _CODE_AT_START.get(path) or _state(path) for path in self._paths()}

    def changed(self) -> list[str]:
        """What is no longer as it was: files, and settings as `params.yaml: lr`."""
        paths = dict.fromkeys([*self._files, *self._paths()])  # also files that came
        files = [str(path) for path in paths if _state(path) != self._files.get(path, "missing")]
        return [*files, *self._changed_settings()]

    def _paths(self) -> Iterator[Path]:
        for name in (self.stage or {}).get("deps", ()):
            path = Path(os.path.normpath(self._folder / name))
            yield from _code_in(path) if path.is_dir() and str(path).startswith(_CODE) else [path]

    def _changed_settings(self) -> Iterator[str]:
        for entry in (self.stage or {}).get("params", ()):
            for name, keys in entry.items() if isinstance(entry, dict) else [("params.yaml", [entry])]:
                path = os.path.normpath(self._folder / name)
                text = _text(Path(path))
                if text != _TEXT_AT_START[path]:
                    before, now = _parse(_TEXT_AT_START[path]), _parse(text)
                    yield from (f"{path}: {key}" for key in keys if _value(before, key) != _value(now, key))


def _runs(stage: Mapping[str, Any], command: str) -> bool:
    return str(stage.get("cmd", "")).rpartition("&& ")[2] == command


def _parse(text: str) -> dict[str, Any]:
    """YAML as DVC reads it; nothing where it is none, which is for others to tell."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _expanded(stages: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each stage of a dvc.yaml with its names filled in: once, or for each of its `foreach` or `matrix`."""
    for stage in stages.values():
        if "foreach" in stage:
            found = _filled(stage["foreach"], settings)
            pairs = found.items() if isinstance(found, dict) else ((None, item) for item in found)
            yield from (_filled(stage["do"], {**settings, "key": key, "item": item}) for key, item in pairs)
        elif "matrix" in stage:
            axes = {name: list(_filled(values, settings)) for name, values in stage["matrix"].items()}
            for values in itertools.product(*axes.values()):
                yield _filled(stage, {**settings, "item": dict(zip(axes, values, strict=True))})
        else:
            yield _filled(stage, settings)


def _filled(node: Any, names: Mapping[str, Any]) -> Any:
    """A part of dvc.yaml with ${a.b} replaced by the value of that name."""
    if isinstance(node, dict):
        return {key: _filled(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, names) for value in node]
    if not isinstance(node, str):
        return node
    if whole := _NAME.fullmatch(node):
        return _value(names, whole[1])
    return _NAME.sub(lambda found: str(_value(names, found[1])), node)


def _value(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def of_this_process() -> Inputs:
    """The inputs of the stage that `python -m pipeline.<stage>` runs here."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return Inputs(spec.name if spec else "", sys.argv[1:])
