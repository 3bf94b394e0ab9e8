"""Load the experiments of a project, which DVC stores as commits with settings and metrics under refs/exps."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from deepen.core.errors import InputError
from deepen.core.yaml_reading import parse_yaml
from deepen.evaluation.intervals import wilson_interval
from deepen.experiments.differences import WITHOUT_EFFECT
from deepen.experiments.recorded import find_changes, get_md5, hash_code
from deepen.experiments.references import list_references, read_contents, run_git

_TEST = "data/test.safetensors"
_CODE = ("dvc.yaml", "pipeline", "src")
_FILES = ("params.yaml", "metrics/final.json", "dvc.lock")


@dataclass(frozen=True)
class Experiment:
    """A run of a ladder, with the content of its params.yaml (`settings`) and its metrics/final.json (`metrics`).

    `metrics` is empty if they were not made with these settings, for example because the run ended before its report;
    `why` is the reason. `date` is that of its commit, for example 2026-01-31 12:00. `images` and `code` are hashes of
    its images and its code. `test_images` counts the test images, 0 if unknown. `is_here` says whether the files of the
    workspace are those of this run. `revision` is its commit and `start` the commit that it started from, both empty
    for the workspace; `lock` is its dvc.lock.
    """

    name: str
    date: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    why: str = ""
    images: str = ""
    code: str = ""
    test_images: int = 0
    is_here: bool = False
    revision: str = field(default="", compare=False)
    start: str = field(default="", compare=False)
    lock: str = field(default="", compare=False, repr=False)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of its top-1 (percent); None if the number of test images is unknown."""
        if not self.test_images or "top1" not in self.metrics:
            return None
        return wilson_interval(round(self.metrics["top1"] / 100 * self.test_images), self.test_images)


def list_experiments(project: Path, *, everywhere: bool = False) -> tuple[list[Experiment], int]:
    """Return the experiments that started from the last commit, or all with `everywhere`; and the number of the others.

    Raises InputError if the project is not in a git repository with a commit.
    """
    chosen, others = list_references(project, everywhere)
    contents = read_contents(project, [f"{each.ref}:./{file}" for each in chosen for file in _FILES])
    tests = _read_tests(project)
    experiments = [
        replace(
            _make_experiment(each.name, each.date, *(next(contents) for _ in _FILES), tests=tests),
            revision=each.revision,
            start=each.start,
        )
        for each in chosen
    ]
    return experiments, others


def merge_workspace(here: Experiment | None, experiments: Sequence[Experiment]) -> list[Experiment]:
    """Return all runs once: the run of the workspace, `here`, may be one of the experiments, run or applied here."""
    if here is None:
        return list(experiments)
    same = [each for each in experiments if replace(each, name=here.name, date=here.date) == here and not here.why]
    if not same:
        return [replace(here, is_here=True), *experiments]
    return [replace(each, is_here=each is same[-1]) for each in experiments]


def _read_tests(project: Path) -> tuple[str, int]:
    """Return the MD5 of the project's test images, from dvc.lock, and their number; empty and 0 if there are none."""
    try:
        lock = (project / "dvc.lock").read_text(encoding="utf-8", errors="replace")
        with safe_open(project / _TEST, framework="numpy") as file:
            return get_md5(lock, _TEST), int(file.get_slice("labels").get_shape()[0])
    except (OSError, SafetensorError):
        return "", 0


def list_names(project: Path) -> list[str]:
    """Return the names of the experiments that started from the last commit, without reading their files."""
    return [each.name for each in list_references(project)[0]]


def find_reference(project: Path, name: str) -> str | None:
    """Return the git reference of an experiment that started from the last commit; None if there is none."""
    return next((each.ref for each in list_references(project)[0] if each.name == name), None)


def read_files(project: Path, reference: str, names: Sequence[str]) -> list[str]:
    """Return the texts of files at a git reference; empty for missing ones."""
    contents = read_contents(project, [f"{reference}:./{name}" for name in names])
    return [(content or b"").decode(errors="replace") for content in contents]


def describe_state(project: Path) -> tuple[str, str]:
    """Return the last commit, and a hash of the changes of code since."""
    changed = run_git(project, "diff", "HEAD", "--", *_CODE)
    return run_git(project, "rev-parse", "HEAD").decode().strip(), hashlib.sha256(changed).hexdigest()


def load_final_metrics(project: Path, reference: str) -> dict[str, float]:
    """Load metrics/final.json at a git reference; empty if it is missing."""
    (content,) = read_contents(project, [f"{reference}:./metrics/final.json"])
    return _parse_metrics(reference, content)


def load_workspace(project: Path) -> Experiment | None:
    """Return the last run in the workspace; None if there is none."""
    contents = [(project / file).read_bytes() if (project / file).is_file() else None for file in _FILES]
    if contents[0] is None or contents[1] is None:
        return None
    run = _make_experiment("workspace", "", *contents, tests=_read_tests(project))
    if not run.why and _differs_from_lock(project, run, (contents[2] or b"").decode(errors="replace")):
        return replace(run, metrics={}, why="the model files belong to another run than dvc.lock")
    return run


def _differs_from_lock(project: Path, here: Experiment, lock: str) -> bool:
    """Return whether the model files differ from dvc.lock, as after git checkout without dvc checkout."""
    path = f"records/{here.settings.get('depth')}.json"
    file = project / path
    return file.is_file() and hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() != get_md5(lock, path)


def _make_experiment(
    name: str, date: str, params: bytes | None, metrics: bytes | None, lock: bytes | None, *, tests: tuple[str, int]
) -> Experiment:
    settings = parse_yaml((params or b"").decode(errors="replace"), f"params.yaml of {name}")
    settings = settings if isinstance(settings, dict) else {}
    text = (lock or b"").decode(errors="replace")
    changes = find_changes(text, settings)
    why = _describe_changes(changes and [path for path in changes if path not in WITHOUT_EFFECT])
    if why and find_changes(text, settings, f"train@{settings.get('depth')}") == []:
        tested = find_changes(text, settings, f"evaluate@{settings.get('depth')}") == []
        why = "its report is missing or has other settings" if tested else "trained, but not tested"
    test = get_md5(text, _TEST)
    images = get_md5(text, "data/train.safetensors") + test
    count = tests[1] if test and test == tests[0] else 0
    numbers = {} if why else _parse_metrics(name, metrics)
    return Experiment(name, date, settings, numbers, why, images, hash_code(text), count, lock=text)


def _describe_changes(changes: list[str] | None) -> str:
    if changes is None:
        return "dvc.lock has no stage report"
    return f"{', '.join(changes[:3])} changed after the run" if changes else ""


def _parse_metrics(name: str, content: bytes | None) -> dict[str, float]:
    try:
        return {str(key): float(value) for key, value in json.loads(content or b"{}").items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"metrics/final.json of {name}: invalid metrics; run dvc repro") from error
