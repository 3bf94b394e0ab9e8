"""A search of settings by validation accuracy, with Optuna: it proposes the values of trials and stores their results.

Trial n is a function of the seed, n and the results before it, so an interrupted search continues as if undisturbed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.core.errors import InputError, quote
from deepen.core.packages import require_extra
from deepen.core.seeding import derive_seed
from deepen.search.space import Range, Space, Value
from deepen.search.trials import Result

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_MOST_LISTED = 10_000  # combinations of a finite space that are looked through for one that was not tried


@dataclass(frozen=True)
class Trial:
    """A proposed or ended trial: its number from 1, its values, and its result, or why it failed."""

    number: int
    values: Mapping[str, Value]
    result: Result | None = None
    why: str = ""

    @property
    def has_ended(self) -> bool:
        return self.result is not None or bool(self.why)


class Search:
    """The trials of a search in a folder; raises InputError if Optuna is missing or its file is damaged."""

    def __init__(self, folder: Path) -> None:
        require_extra("a search", ["optuna"], "search")
        self._study = _open_study(folder / "study.db")

    @property
    def definition(self) -> dict[str, Any]:
        """What was searched, as stored by `define`; empty for a new search."""
        return dict(self._study.user_attrs.get("definition", {}))

    def define(self, definition: Mapping[str, Any]) -> None:
        """Store what is searched."""
        self._study.set_user_attr("definition", dict(definition))

    def list_trials(self, space: Space) -> list[Trial]:
        """Return all trials in their order; one that has not ended may come last."""
        results = self._study.user_attrs
        return [
            _make_trial(number, each, space, results.get(f"result {each.number}", {}))
            for number, each in enumerate(self._list_complete(space), 1)
        ]

    def propose(self, space: Space, seed: int) -> Trial:
        """Return the trial that was interrupted, or a new one."""
        trials = self.list_trials(space)
        if trials and not trials[-1].has_ended:
            return trials[-1]
        self._ask(space, derive_seed(seed, "search", len(trials)) % 2**32)
        proposed = self.list_trials(space)[-1]
        tried = [each.values for each in trials]
        if proposed.values in tried and (other := _find_untried(space, tried)):
            self._drop(self._list_complete(space)[-1])
            self._study.enqueue_trial(other)
            self._ask(space, 0)
            proposed = self.list_trials(space)[-1]
        return proposed

    def store(self, trial: Trial, space: Space, result: Result | None, why: str = "") -> None:
        """Store the result of a trial; without one it has failed, which counts as the worst result."""
        from optuna.trial import TrialState

        frozen = self._list_complete(space)[trial.number - 1]
        self._study.set_user_attr(f"result {frozen.number}", asdict(result) if result else {"why": why})
        if result:
            self._study.tell(frozen.number, result.top1)
        else:
            self._study.tell(frozen.number, state=TrialState.PRUNED)

    def _ask(self, space: Space, seed: int) -> None:
        from optuna.samplers import TPESampler

        self._study.sampler = TPESampler(seed=seed)
        self._study.ask({name: _make_distribution(values) for name, values in space.varied.items()})

    def _list_complete(self, space: Space) -> list["FrozenTrial"]:
        """Return the stored trials; drop one whose values a killed process stored only in part."""
        from optuna.trial import TrialState

        known = [each for each in self._study.get_trials(deepcopy=False) if each.state != TrialState.FAIL]
        for each in known:
            if each.state == TrialState.RUNNING and set(each.params) != set(space.varied):
                self._drop(each)
        return [each for each in known if set(each.params) == set(space.varied)]

    def _drop(self, trial: "FrozenTrial") -> None:
        from optuna.trial import TrialState

        self._study.tell(trial.number, state=TrialState.FAIL)


def _open_study(path: Path) -> "Study":
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.create_study(
            study_name="search", storage=f"sqlite:///{path}", direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, RuntimeError) as error:
        raise InputError(
            f"{quote(path)}: is damaged, or of another version of Optuna; remove it, and type the command again: "
            "experiments that are done count"
        ) from error


def _make_distribution(values: Range | Sequence[str]) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        return CategoricalDistribution(list(values))
    if values.whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _make_trial(number: int, stored: "FrozenTrial", space: Space, found: Mapping[str, Any]) -> Trial:
    values = {
        name: kind.round(stored.params[name]) if isinstance(kind, Range) else stored.params[name]
        for name, kind in space.varied.items()
    }
    if not stored.state.is_finished():
        return Trial(number, values)
    return Trial(number, values, Result(**found) if "top1" in found else None, found.get("why", ""))


def _find_untried(space: Space, tried: Sequence[Mapping[str, Value]]) -> dict[str, Value] | None:
    """Return the first combination of a finite space that was not tried; None if there is none, or too many."""
    if space.size > _MOST_LISTED:
        return None
    seen = {json.dumps(dict(values), sort_keys=True) for values in tried}
    return next((each for each in space.iter_combinations() if json.dumps(each, sort_keys=True) not in seen), None)


def find_best(trials: Sequence[Trial]) -> Trial | None:
    """Return the first trial with the highest validation top-1; of equal ones, that with the lowest loss."""
    done = [each for each in trials if each.result]
    return min(done, key=lambda each: _rank(each.result), default=None)


def rank_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Sort the trials that have a result, best first."""
    return sorted((each for each in trials if each.result), key=lambda each: _rank(each.result))


def _rank(result: Result | None) -> tuple[float, float]:
    return (-result.top1, result.loss) if result else (0.0, 0.0)
