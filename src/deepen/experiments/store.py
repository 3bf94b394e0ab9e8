"""The experiments of a project, as DVC keeps them: a commit each, below refs/exps, that holds settings and metrics."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from deepen.core.errors import InputError
from deepen.core.yaml_reading import parse_yaml
from deepen.evaluation.intervals import wilson_interval
from deepen.experiments.recorded import changed_since, code_of, recorded

_REFS = "refs/exps/*/*/*"  # two parts of the commit that an experiment started from, and its name
_NAMED = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38,62}/.+")  # and none of DVC's own notes
_TEST = "data/test.safetensors"
_FILES = ("params.yaml", "metrics/final.json", "dvc.lock")


@dataclass(frozen=True)
class Experiment:
    """The ladder run once: `settings` is what its params.yaml holds, `metrics` what its metrics/final.json does.

    `metrics` is empty where they are not those of its settings, because it ended before its report; `why` says so.
    `date` is that of its commit, as 2026-01-31 12:00.
    `images` and `code` tell which images and which code made it; of the test images there are `test_images`, 0 where
    that is not known. `is_here` says whether the project's own files are those of this run.
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

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of its top-1 in percent; None where the number of test images is not known."""
        if not self.test_images or "top1" not in self.metrics:
            return None
        return wilson_interval(round(self.metrics["top1"] / 100 * self.test_images), self.test_images)


def list_experiments(project: Path, *, everywhere: bool = False) -> tuple[list[Experiment], int]:
    """The experiments that started from the last commit, or `everywhere` all; and how many others there are.

    Raises InputError where the project is not in a git repository with a commit.
    """
    chosen, others = _refs(project, everywhere)
    contents = _contents(project, [f"{ref}:./{file}" for _, ref in chosen for file in _FILES])
    tests = _tests(project)
    experiments = [
        _experiment(ref.rpartition("/")[2], date, *(next(contents) for _ in _FILES), tests=tests)
        for date, ref in chosen
    ]
    return experiments, others


def together(here: Experiment | None, experiments: Sequence[Experiment]) -> list[Experiment]:
    """All runs, each once: `here`, the project's own, is one of the experiments where that was run or applied here."""
    if here is None:
        return list(experiments)
    same = [each for each in experiments if replace(each, name=here.name, date=here.date) == here and not here.why]
    if not same:
        return [replace(here, is_here=True), *experiments]
    return [replace(each, is_here=each is same[-1]) for each in experiments]


def _tests(project: Path) -> tuple[str, int]:
    """The MD5 of the project's test images, as dvc.lock has it, and how many they are; 0 where there are none."""
    try:
        lock = (project / "dvc.lock").read_text(encoding="utf-8", errors="replace")
        with safe_open(project / _TEST, framework="numpy") as file:
            return recorded(lock, _TEST), int(file.get_slice("labels").get_shape()[0])
    except (OSError, SafetensorError):
        return "", 0


def list_names(project: Path) -> list[str]:
    """The names of the experiments that started from the last commit, without a look into them."""
    return [ref.rpartition("/")[2] for _, ref in _refs(project)[0]]


def _refs(project: Path, everywhere: bool = False) -> tuple[list[tuple[str, str]], int]:
    """Dates and references of the experiments from the last commit, or of all; and how many others there are."""
    head = _git(project, "rev-parse", "HEAD").decode().strip()
    listed = _git(project, "for-each-ref", "--format=%(committerdate:format-local:%Y-%m-%d %H:%M) %(refname)", _REFS)
    refs = [(line[:16], line[17:]) for line in listed.decode().splitlines() if _NAMED.fullmatch(line[17:])]
    chosen = [(date, ref) for date, ref in refs if everywhere or "".join(ref.split("/")[2:4]) == head]
    return chosen, len(refs) - len(chosen)


def final_metrics(project: Path, reference: str) -> dict[str, float]:
    """What metrics/final.json holds at a reference of git; empty where there is none."""
    (content,) = _contents(project, [f"{reference}:./metrics/final.json"])
    return _metrics(reference, content)


def workspace(project: Path) -> Experiment | None:
    """The project's own last run; None where there is none."""
    contents = [(project / file).read_bytes() if (project / file).is_file() else None for file in _FILES]
    if contents[0] is None or contents[1] is None:
        return None
    found = _experiment("workspace", "", *contents, tests=_tests(project))
    if not found.why and _of_another_run(project, found, (contents[2] or b"").decode(errors="replace")):
        return replace(found, metrics={}, why="the models' files are of another run than dvc.lock")
    return found


def _of_another_run(project: Path, here: Experiment, lock: str) -> bool:
    """Whether what DVC keeps of the models is not what dvc.lock says, as after git checkout without dvc checkout."""
    path = f"records/{here.settings.get('depth')}.json"
    file = project / path
    return file.is_file() and hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() != recorded(lock, path)


def _experiment(
    name: str, date: str, params: bytes | None, metrics: bytes | None, lock: bytes | None, *, tests: tuple[str, int]
) -> Experiment:
    settings = parse_yaml((params or b"").decode(errors="replace"), f"params.yaml of {name}")
    settings = settings if isinstance(settings, dict) else {}
    text = (lock or b"").decode(errors="replace")
    changed = changed_since(text, settings)
    why = "dvc.lock has no report" if changed is None else f"{', '.join(changed[:3])} changed since" if changed else ""
    test = recorded(text, _TEST)
    images = recorded(text, "data/train.safetensors") + test
    count = tests[1] if test and test == tests[0] else 0
    return Experiment(name, date, settings, {} if why else _metrics(name, metrics), why, images, code_of(text), count)


def _metrics(name: str, content: bytes | None) -> dict[str, float]:
    try:
        found = json.loads(content or b"{}")
        return {str(key): float(value) for key, value in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"metrics/final.json of {name}: is not what this project writes there; run dvc repro"
        ) from error


def _contents(project: Path, names: Iterable[str]) -> Iterator[bytes | None]:
    """The contents of files in commits, named as git does, in their order; None where a commit has no such file."""
    answer = _git(project, "cat-file", "--batch", given="\n".join(names).encode() + b"\n")
    at = 0
    while at < len(answer):
        head, _, _ = answer[at:].partition(b"\n")
        at += len(head) + 1
        if head.endswith(b" missing"):
            yield None
        else:
            size = int(head.split()[-1])
            yield answer[at : at + size]
            at += size + 1


def _git(project: Path, *words: str, given: bytes = b"") -> bytes:
    try:
        return subprocess.run(["git", *words], cwd=project, input=given, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise InputError("git: not available; install it") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise InputError(
            f"{project}: git {words[0]} fails ({reason}); run in a project of which git has a commit"
        ) from error
