"""Detect dependencies of a stage that change while it runs: DVC records them only after the command has ended.

The dependencies in dvc.yaml are read before any other module of this project is imported, and again before each stage
writes. Settings are compared by value, code by content, and other files by inode, size and modification time.
"""

import hashlib
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pipeline.shared.packages import find_changed_package

_CODE = ("src/deepen", "pipeline", "study")
_SETTINGS = ("params.yaml", "study/params.yaml")
_TEXTS = (".py", ".yaml", ".css", ".j2")
_NAME = re.compile(r"\$\{([^}]+)\}")


def _fingerprint(path: Path) -> str:
    """Return a checksum of code or settings, else inode, size and modification time, or `missing`."""
    try:
        if path.suffix in _TEXTS:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _list_code(folder: Path) -> list[Path]:
    """List the files of a code folder, without those that `.dvcignore` names."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not any(map(_is_ignored, path.relative_to(folder).parts)))


def _is_ignored(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _IGNORED)


def _read_text(path: Path) -> str:
    """Return a text; bytes that are not UTF-8 are replaced, and reported where the text is used."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


_IGNORED = [
    line.removeprefix("\\") for line in _read_text(Path(".dvcignore")).splitlines() if line[:1] not in ("", "#")
]
# Taken at start, before the code is imported and the settings are read: a later change is detected.
_CODE_AT_START = {path: _fingerprint(path) for folder in _CODE for path in _list_code(Path(folder))}
_TEXT_AT_START = {name: _read_text(Path(name)) for name in _SETTINGS}


class Inputs:
    """The dependencies in dvc.yaml of the stage that this process runs, as they are before the stage reads them."""

    def __init__(self, module: str, words: Sequence[str]) -> None:
        folder = Path("study") if module.startswith("study.") else Path()
        settings = _parse(_TEXT_AT_START[str(folder / "params.yaml")])
        stages = _parse(_read_text(folder / "dvc.yaml")).get("stages", {})
        command = " ".join(["python", "-m", module, *words])
        self.stage = next((stage for stage in _expand_stages(stages, settings) if _runs(stage, command)), None)
        self._folder = folder
        self._files = {path: _CODE_AT_START.get(path) or _fingerprint(path) for path in self._list_paths()}

    def find_changes(self) -> list[str]:
        """Return changed, new and missing files, changed packages, and changed settings as `params.yaml: lr`."""
        paths = dict.fromkeys([*self._files, *self._list_paths()])  # new files too
        files = [str(path) for path in paths if _fingerprint(path) != self._files.get(path, "missing")]
        packages = [package for path in paths if (package := find_changed_package(path))]
        return [*files, *packages, *self._find_changed_settings()]

    def _list_paths(self) -> Iterator[Path]:
        for name in (self.stage or {}).get("deps", ()):
            path = Path(os.path.normpath(self._folder / name))
            yield from _list_code(path) if path.is_dir() and str(path).startswith(_CODE) else [path]

    def _find_changed_settings(self) -> Iterator[str]:
        for entry in (self.stage or {}).get("params", ()):
            for name, keys in entry.items() if isinstance(entry, dict) else [("params.yaml", [entry])]:
                path = os.path.normpath(self._folder / name)
                text = _read_text(Path(path))
                if text != _TEXT_AT_START[path]:
                    before, now = _parse(_TEXT_AT_START[path]), _parse(text)
                    yield from (f"{path}: {key}" for key in keys if _look_up(before, key) != _look_up(now, key))


def _runs(stage: Mapping[str, Any], command: str) -> bool:
    return str(stage.get("cmd", "")).rpartition("&& ")[2] == command


def _parse(text: str) -> dict[str, Any]:
    """Parse YAML as DVC does; return an empty dict if it is invalid, which `load_settings` reports."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _expand_stages(stages: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each stage of a dvc.yaml with its variables filled in: once, or for each item of `foreach` or `matrix`."""
    for stage in stages.values():
        if "foreach" in stage:
            items = _fill_in(stage["foreach"], settings)
            pairs = items.items() if isinstance(items, dict) else ((None, item) for item in items)
            yield from (_fill_in(stage["do"], {**settings, "key": key, "item": item}) for key, item in pairs)
        elif "matrix" in stage:
            axes = {name: list(_fill_in(values, settings)) for name, values in stage["matrix"].items()}
            for values in itertools.product(*axes.values()):
                yield _fill_in(stage, {**settings, "item": dict(zip(axes, values, strict=True))})
        else:
            yield _fill_in(stage, settings)


def _fill_in(node: Any, names: Mapping[str, Any]) -> Any:
    """Replace each ${a.b} in a part of dvc.yaml by the value of that name."""
    if isinstance(node, dict):
        return {key: _fill_in(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill_in(value, names) for value in node]
    if not isinstance(node, str):
        return node
    if whole := _NAME.fullmatch(node):
        return _look_up(names, whole[1])
    return _NAME.sub(lambda match: str(_look_up(names, match[1])), node)


def _look_up(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def read_stage_inputs() -> Inputs:
    """Read the inputs of the stage that this process runs as `python -m pipeline.<stage>`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return Inputs(spec.name if spec else "", sys.argv[1:])
