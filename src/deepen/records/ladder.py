"""The results of a whole ladder: records of its evaluated models, and the models without current results."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.errors import InputError
from deepen.core.tree import draw_tree
from deepen.models.notation import count_weight_layers, find_notation_faults
from deepen.records.record import Record

State = Literal["not trained yet", "not evaluated yet", "not in this run", "out of date"]


@dataclass(frozen=True)
class MissingModel:
    """A model of params.yaml without current results: its state, and what has changed if it is out of date.

    `place` is its place among all models in the order of their tree, counted from 0.
    """

    model: str
    after: str
    layers: str
    state: State
    changed: str = ""
    place: int = field(kw_only=True)

    @property
    def weight_layers(self) -> str:
        """The number of its weight layers; empty if `layers` is invalid."""
        return "" if find_notation_faults(self.layers) else str(count_weight_layers(self.layers))

    def describe(self) -> str:
        """Return what is missing and the remedy, as a sentence."""
        return f"{self.model} is {self.state}{f' ({self.changed} changed)' if self.changed else ''}: run dvc repro"


@dataclass(frozen=True)
class LadderResults:
    """The models of params.yaml in the order of their tree; `depth` is the one that metrics/final.json describes."""

    depth: str
    records: list[Record]
    missing: list[MissingModel]

    @property
    def last(self) -> Record:
        """The record of the model that `depth` names."""
        return next(record for record in self.records if record.model == self.depth)

    @property
    def first(self) -> Record:
        """The record of the model from scratch that `last` grew from, over any number of models; or `last` itself."""
        records, record = {record.model: record for record in self.records}, self.last
        while record.after in records:
            record = records[record.after]
        return record

    @property
    def after(self) -> dict[str, str]:
        """The model that each evaluated model grew from."""
        return {record.model: record.after for record in self.records}

    def require_last(self, path: Path) -> None:
        """Raise InputError, about a file, if the model that `depth` names has no record."""
        if self.depth not in self.after:
            raise InputError(f"{path}: has no results of {self.depth}; remove it and run dvc repro")

    def save(self, path: Path) -> None:
        """Write the results as JSON."""
        write_checked_json(path, asdict(self))


def load_ladder_results(path: Path) -> LadderResults:
    """Read a file of `LadderResults.save`; raises InputError if it is invalid or has no results of its `depth`."""
    results = read_checked_json(path, LadderResults)
    results.require_last(path)
    return results


def draw_models(
    records: Sequence[Record], missing: Sequence[MissingModel] = ()
) -> list[tuple[str, Record | MissingModel]]:
    """Return all models in the order of their tree, each with the lines before it; `records` are in this order."""
    ordered: list[Record | MissingModel] = list(records)
    for each in sorted(missing, key=lambda model: model.place):
        ordered.insert(each.place, each)
    models = {each.model: each for each in ordered}
    drawn = draw_tree({name: each.after for name, each in models.items()})
    return [(lines, models[name]) for name, lines in drawn.items()]
