"""`deepen search`: find good settings by validation accuracy, with Optuna on experiments of DVC."""

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import add_changes, add_command, parse_whole_number
from deepen.cli.exp import require_ascii_cache
from deepen.cli.project_folder import require_project
from deepen.cli.settings_file import read_params
from deepen.core.errors import InputError
from deepen.core.lookup import MISSING, get_setting

if TYPE_CHECKING:
    from deepen.search.optuna_study import Trial
    from deepen.search.space import Space
    from deepen.search.trainings import Images

_TRIALS = 20


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "search",
        "find good settings by validation accuracy, with Optuna",
        "Try values of settings, one experiment of DVC after the other, and rank them by the validation accuracy of "
        "the model that depth names. No trial uses the test images. A range whose end is at least ten times its "
        "beginning is searched on a log scale; :log or :linear after it says otherwise. The same command continues "
        "an interrupted search, and more --trials extend it. Without --changes, list the trials of a search.",
        [
            "deepen search --changes 'lr=0.003..0.1 width=0.25,0.5'",
            "deepen search --name rate --trials 40 --changes 'depth=I lr=0.01..0.05:log'",
            "deepen search --name rate --apply",
        ],
    )
    add_changes(parser, "ranges, lists and values, separated by spaces")
    parser.add_argument("--trials", type=parse_whole_number, metavar="N", help=f"in all (default: {_TRIALS})")
    parser.add_argument("--name", metavar="NAME", help="of the search; its trials are NAME-1, NAME-2 and so on")
    parser.add_argument("--apply", action="store_true", help="replace your settings by those of the best trial")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.cli.redirection import require_kept_output
    from deepen.experiments.references import require_commit
    from deepen.search.table import format_search

    if shutil.which("dvc") is None:
        raise InputError("dvc: not available; source .venv/bin/activate first")
    require_project(Path(), has_option=False)
    require_commit(Path())
    if options.trials is not None and options.trials < 1:
        raise InputError(f"trials: must be at least 1, got {options.trials}; ask for example for {_TRIALS}")
    if options.changes is None and (options.name is None or options.trials is not None):
        raise InputError("--changes: missing; write for example --changes 'lr=0.003..0.1'")
    if options.apply:
        require_kept_output()
    found = _search(options) if options.changes is not None else _load(options.name)
    print(f"\n{format_search(found.name, found.trials)}\n")
    if options.apply:
        _apply_best(found)
    elif any(each.result for each in found.trials):
        print(
            f"deepen search --name {found.name} --apply replaces your settings by the best; dvc repro then tests them."
        )


@dataclass(frozen=True)
class _Found:
    """A search: its name, space, definition and ended trials."""

    name: str
    space: "Space"
    definition: Mapping[str, Any]
    trials: list["Trial"]


def _search(options: argparse.Namespace) -> _Found:
    """Run the trials that are missing."""
    from deepen.experiments.overrides import split_changes
    from deepen.search.checks import check_space
    from deepen.search.definition import SEARCHES, choose_name, make_definition, require_same
    from deepen.search.loop import lock_search, run_search
    from deepen.search.optuna_study import Search
    from deepen.search.space import parse_space

    require_ascii_cache()
    content, changes = read_params(Path()), split_changes(options.changes)
    space = parse_space(content, changes)
    trainings = check_space(content, space, _read_images(content, space))
    definition = make_definition(Path(), content, space, changes)
    name = choose_name(options.name, definition)
    with lock_search(SEARCHES / name):
        search = Search(SEARCHES / name)
        require_same(name, search.definition or definition, definition, "choose another name")
        search.define(definition)
        wanted = _TRIALS if options.trials is None else options.trials
        return _Found(name, space, definition, run_search(name, search, trainings, wanted))


def _read_images(content: Mapping[str, Any], space: "Space") -> "Images | None":
    """Return what is known of the images of a search; None if they are not prepared, and of any shape."""
    from deepen.cli.image_shape import UNKNOWN, find_image_shape
    from deepen.config.settings import check_settings
    from deepen.experiments.changes import apply_changes
    from deepen.search.trainings import Images

    try:
        settings = check_settings(apply_changes(content, space.make_changes(space.first)))
        known = find_image_shape(settings, Path())
    except InputError:
        return None  # check_space reports invalid settings; a trial makes damaged files of images anew
    if known is None:
        return None
    shape, classes, count = known
    is_split_anew = settings.val_fraction != content["val_fraction"]
    return Images(shape, classes, None if count == UNKNOWN or is_split_anew else count)


def _load(given: str) -> _Found:
    """Load a search that was run before."""
    from deepen.core.nearest import suggest_name
    from deepen.search.definition import SEARCHES, choose_name
    from deepen.search.optuna_study import Search
    from deepen.search.space import parse_space

    name = choose_name(given, {})
    known = sorted(path.parent.name for path in SEARCHES.glob("*/study.db"))
    if name not in known or not (definition := (search := Search(SEARCHES / name)).definition):
        remedy = suggest_name(name, [each for each in known if each != name]) or "; give --changes to start it"
        raise InputError(f"--name {name}: unknown search{remedy}")
    space = parse_space(definition["settings"], definition["changes"])
    return _Found(name, space, definition, [each for each in search.list_trials(space) if each.has_ended])


def _apply_best(found: _Found) -> None:
    """Apply the best trial; raises InputError if there is none, or the project has changed since."""
    from deepen.cli.kept_layout import keep_layout
    from deepen.search.definition import make_definition, require_same
    from deepen.search.optuna_study import find_best
    from deepen.search.trials import apply_trial

    if (best := find_best(found.trials)) is None:
        raise InputError(f"{found.name}: no trial has a result to apply")
    content, changes = read_params(Path()), found.space.make_changes(best.values)
    now = make_definition(Path(), content, found.space, found.definition["changes"])
    remedy = f"write the settings of its best trial into params.yaml: {', '.join(changes)}"
    require_same(found.name, found.definition, now, remedy)
    with keep_layout(Path("params.yaml")):
        apply_trial(Path(), f"{found.name}-{best.number}", content, changes)
    print(f"Applied {found.name}-{best.number}. {_describe_applied(content, read_params(Path()))}")
    print("dvc repro trains what is missing, and tests it.")


def _describe_applied(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the settings that were written into params.yaml, and the model that depth names now."""
    from deepen.cli.kept_layout import find_differences
    from deepen.project.settings_text import dump_value

    def describe(path: str, value: object) -> str:
        old = get_setting(before, path)
        return f"{path}: {dump_value(value)} ({'new' if old is MISSING else f'was {dump_value(old)}'})"

    written = ", ".join(describe(path, value) for path, value in find_differences(before, after))
    depth = f"metrics/final.json will describe {after['depth']}, the model that depth names"
    return f"{f'Wrote into params.yaml: {written}' if written else 'params.yaml had its settings already'}; {depth}."
