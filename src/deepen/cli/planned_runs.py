"""Run planned experiments one after the other; those that are done are not run again."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.exp import require_ascii_cache
from deepen.cli.settings_file import read_params
from deepen.core.counts import pluralize
from deepen.core.entry_point import INTERRUPTED
from deepen.core.errors import InputError, Interrupted, quote, trim

if TYPE_CHECKING:
    from deepen.seeds.planned_runs import PlannedRun

PARAMS = Path("params.yaml")


def run_all(runs: Sequence["PlannedRun"]) -> list[str]:
    """Run each experiment that is not done, also after one that fails; return the names of those that failed.

    Raises InputError before the first run if a name is taken, and if params.yaml changes meanwhile.
    """
    if shutil.which("dvc") is None:
        raise InputError("dvc: not available; source .venv/bin/activate first")
    require_ascii_cache()
    params, experiments = read_params(Path()), _list_experiments()
    left = [run for run in runs if not run.is_done(experiments)]
    if done := [quote(run.name) for run in runs if run not in left]:
        print(f"done already: {', '.join(trim(done))}", flush=True)
    failed = []
    for count, run in enumerate(left, 1):
        if read_params(Path()) != params:
            raise InputError("params.yaml: changed since the first run; restore it, and run the same command again")
        print(f"{quote(run.name)}: run {count} of {len(left)}", flush=True)
        if not run.is_done(_list_experiments()) and not _run(run) and not run.is_done(_list_experiments()):
            failed.append(run.name)  # and no other process has run it
    return failed


def require_success(runs: Sequence["PlannedRun"], failed: Sequence[str]) -> None:
    """Raise InputError if any run failed."""
    if failed:
        names = ", ".join(trim([quote(name) for name in failed]))
        raise InputError(
            f"{len(failed)} of {pluralize(len(runs), 'experiment')} failed: {names}; "
            "the reasons are above; run the same command again for these"
        )


def _list_experiments() -> Any:
    from deepen.experiments.store import list_experiments

    return list_experiments(Path())[0]


def _run(run: "PlannedRun") -> bool:
    """Run an experiment in a copy of the project; return whether it succeeded. Ctrl-C waits for its checkpoint."""
    options = [word for change in run.overrides for word in ("--set-param", change)]
    process = subprocess.Popen(["dvc", "exp", "run", "--temp", "--name", run.name, *options])
    try:
        return process.wait() == 0
    except KeyboardInterrupt as error:
        process.wait()  # it has received the signal too
        raise Interrupted(f"{run.name} was stopped; the same command resumes it", INTERRUPTED) from error
