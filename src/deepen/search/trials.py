"""The trials of a search: each is an experiment of DVC, which trains up to a model and tests none."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.core.yaml_reading import parse_yaml
from deepen.evaluation.intervals import wilson_interval
from deepen.experiments.changes import apply_changes
from deepen.experiments.recorded import find_changes, get_md5
from deepen.experiments.store import find_reference, read_files
from deepen.records.history import load_history

_VALIDATION = "data/validation.safetensors"


@dataclass(frozen=True)
class Result:
    """The validation of a trial: top-1 (percent) and loss (nats) of the kept epoch, and the MD5 of its images."""

    top1: float
    loss: float
    images: int
    validation: str

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of top-1 (percent) for other images like these."""
        return wilson_interval(round(self.top1 / 100 * self.images), self.images)


def read_result(project: Path, name: str, content: Mapping[str, Any], changes: Sequence[str]) -> Result | None:
    """Return the result of an experiment of this name with these changes; None if there is none yet.

    Raises InputError if the experiment has other settings, or its training history is missing in DVC's cache.
    """
    if (reference := find_reference(project, name)) is None:
        return None
    params, lock = read_files(project, reference, ["params.yaml", "dvc.lock"])
    settings, expected = parse_yaml(params, f"params.yaml of {name}"), apply_changes(content, changes)
    depth = expected["depth"]
    if settings != expected or find_changes(lock, expected, f"train@{depth}") != []:
        raise InputError(
            f"{quote(name)}: experiment already exists with other settings; choose another name, or run dvc exp remove "
            f"{quote(name)}"
        )
    history = load_history(_find_cached(project, name, get_md5(lock, f"curves/{depth}.json")))
    kept = history.kept
    return Result(kept.val_top1, kept.val_loss, history.validation_images, get_md5(lock, _VALIDATION))


def _find_cached(project: Path, name: str, md5: str) -> Path:
    """Return the path of a file in DVC's cache; raises InputError if it is missing."""
    from dvc.repo import Repo

    path = Path(Repo(str(project)).cache.local.oid_to_path(md5))
    if not path.is_file():
        raise InputError(
            f"{quote(name)}: its training history is missing in DVC's cache; run dvc exp remove {quote(name)}, and the "
            "search again"
        )
    return path


def run_trial(project: Path, name: str, changes: Sequence[str], model: str, log: Path) -> int:
    """Run an experiment in a copy of the project, up to the training of a model; return its exit code.

    Its output goes to the file `log`. Ctrl-C stops it as it stops `dvc exp run`: the training saves a checkpoint.
    """
    options = [word for change in changes for word in ("--set-param", change)]
    command = ["dvc", "exp", "run", "--temp", "--name", name, *options, f"train@{model}"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as output:  # what runs since an earlier, killed search may write too
        streams: Any = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=project, start_new_session=True, **streams)
        try:
            return process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)  # its own session gets no Ctrl-C from the terminal
            process.wait()
            raise


def apply_trial(project: Path, name: str, content: Mapping[str, Any], changes: Sequence[str]) -> None:
    """Apply the experiment of a trial, with `changes` of params.yaml's `content`; raises InputError if that fails.

    DVC reports a failure also if the results of other stages are missing in its cache, after it has applied all others.
    """
    if find_reference(project, name) is None:
        raise InputError(
            f"{name}: the experiment was removed; write its settings into params.yaml: {', '.join(changes)}"
        )
    done = subprocess.run(["dvc", "exp", "apply", name], cwd=project, capture_output=True, text=True)
    applied = parse_yaml((project / "params.yaml").read_text(encoding="utf-8"), "params.yaml")
    if applied != apply_changes(content, changes):
        why = " ".join(done.stderr.split())[-300:]
        raise InputError(f"dvc exp apply {name} failed ({why}); run it to see why")
