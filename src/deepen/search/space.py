"""The settings that a search varies: ranges such as lr=0.003..0.1, lists such as recipe=a,b, and fixed values."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from math import prod
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.experiments.changes import find_change_faults, list_values
from deepen.experiments.overrides import format_override_value, quote_change

Value = float | int | str  # of a trial; a string is the text of one value of a list
_PATHS = ("root", "start")  # settings whose values may contain two dots
_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(\w*))?")
_SCALES = ("log", "linear")
_LEAST_RATIO = 10  # of the ends of a range that is searched on a log scale
_DIGITS = 4  # significant ones of a value


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, searched on a `log` or linear scale; `whole` numbers only, or all."""

    low: float
    high: float
    log: bool
    whole: bool = False

    def round(self, value: float) -> float | int:
        """Return a value with few digits, still in the range."""
        if self.whole:
            return int(value)
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    def list_ends(self) -> list[float | int]:
        """Return both ends."""
        return [int(end) if self.whole else end for end in (self.low, self.high)]

    def __str__(self) -> str:
        kind = "whole numbers" if self.whole else "numbers"
        return f"{kind} from {self.low:g} to {self.high:g}, {'log' if self.log else 'linear'} scale"


@dataclass(frozen=True)
class Space:
    """The varied settings by name: a range, or the texts of a list; and the changes that all trials share."""

    varied: Mapping[str, Range | tuple[str, ...]]
    fixed: tuple[str, ...]

    def make_changes(self, values: Mapping[str, Value]) -> list[str]:
        """Return the changes of a trial."""
        return [*(f"{name}={value}" for name, value in values.items()), *self.fixed]

    def list_examples(self, name: str) -> list[Value]:
        """Return the ends of a range, or all values of a list."""
        values = self.varied[name]
        return list(values.list_ends()) if isinstance(values, Range) else list(values)

    @property
    def first(self) -> dict[str, Value]:
        """The first value of each setting."""
        return {name: self.list_examples(name)[0] for name in self.varied}

    def iter_neighbours(self) -> Iterator[dict[str, Value]]:
        """Yield the first value of each setting, then each other end or value with the first of the others."""
        yield self.first
        for name in self.varied:
            yield from (self.first | {name: value} for value in self.list_examples(name)[1:])

    @property
    def size(self) -> float:
        """The number of combinations; infinite with a range of numbers."""
        return prod(_count(values) for values in self.varied.values())

    def iter_combinations(self) -> Iterator[dict[str, Value]]:
        """Yield all combinations of a finite space."""
        options: list[Sequence[Value]] = [
            range(int(values.low), int(values.high) + 1) if isinstance(values, Range) else values
            for values in self.varied.values()
        ]
        yield from (dict[str, Value](zip(self.varied, each, strict=True)) for each in product(*options))


def _count(values: Range | tuple[str, ...]) -> float:
    if isinstance(values, Range):
        return values.high - values.low + 1 if values.whole else math.inf
    return len(values)


def parse_space(content: Mapping[str, Any], changes: Sequence[str]) -> Space:
    """Parse the changes of a search of a params.yaml; raises InputError with all faults."""
    names = [change.partition("=")[0] for change in changes]
    faults = [f"{quote(name)[:200]}: is given twice; give it once" for name in {n for n in names if names.count(n) > 1}]
    varied: dict[str, Range | tuple[str, ...]] = {}
    fixed: list[str] = []
    for name, change in zip(names, changes, strict=True):
        try:
            values = _parse_values(content, name, change)
        except InputError as error:
            faults += error.faults
            continue
        if isinstance(values, str):
            fixed.append(values)
        else:
            varied[name] = values
    if not varied and not faults:
        faults.append("no setting to search; give a range or a list, for example lr=0.003..0.1")
    if faults:
        raise InputError(faults)
    return Space(varied, tuple(fixed))


def _parse_values(content: Mapping[str, Any], name: str, change: str) -> Range | tuple[str, ...] | str:
    """Return the range or list of a change, or the change itself if it has one value; raises InputError."""
    text = change.partition("=")[2]
    if ".." in text and name.rpartition(".")[2] not in _PATHS:
        return _find_whole(content, change, _parse_range(change, text.strip()))
    quoted = quote_change(change, sweeps=True)
    if faults := find_change_faults(content, [quoted], "", quote(change)[:200]):
        raise InputError(faults)
    values = [format_override_value(value) for value in list_values(content, quoted)]
    if len(set(values)) < len(values):
        raise InputError(f"{quote(change)[:200]}: has a value twice; list each once")
    return tuple(values) if len(values) > 1 else quoted


def _parse_range(change: str, text: str) -> Range:
    """Parse a range; raises InputError with its fault."""
    shown = quote(change)[:200]
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InputError(f"{shown}: invalid range; write for example lr=0.003..0.1 or lr=0.003..0.1:linear")
    low, high, scale = float(match[1]), float(match[2]), match[3]
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"{shown}: the ends of a range must be finite; write for example lr=0.003..0.1")
    if low >= high:
        raise InputError(f"{shown}: the first end must be less than the second; write {_swap(change, match)}")
    if scale is not None and scale not in _SCALES:
        raise InputError(f"{shown}: unknown scale; write :log or :linear after the range, or nothing")
    if scale == "log" and low <= 0:
        raise InputError(f"{shown}: a log scale needs ends above 0; write :linear, or a first end above 0")
    log = scale == "log" if scale else low > 0 and high >= _LEAST_RATIO * low
    return Range(low, high, log)


def _swap(change: str, match: re.Match[str]) -> str:
    is_empty = float(match[1]) == float(match[2])
    return "for example lr=0.003..0.1" if is_empty else f"{change.partition('=')[0]}={match[2]}..{match[1]}"


def _find_whole(content: Mapping[str, Any], change: str, found: Range) -> Range:
    """Mark a range as one of whole numbers if its setting takes no others; raises InputError for invalid ends."""
    name = change.partition("=")[0]
    within = found.low + (found.high - found.low) / (1000 * math.pi)  # not whole
    if find_change_faults(content, [f"{name}={within!r}"]) and not find_change_faults(
        content, [f"{name}={int(found.low)}"]
    ):
        if not (found.low.is_integer() and found.high.is_integer()):
            least, most = math.floor(found.low), math.ceil(found.high)
            raise InputError(
                f"{quote(change)[:200]}: takes whole numbers only; write for example {name}={least}..{most}"
            )
        found = replace(found, whole=True)
    shown = quote(change)[:200]
    ends = [find_change_faults(content, [f"{name}={end!r}"], "", shown) for end in found.list_ends()]
    if faults := dict.fromkeys(chain(*ends)):
        raise InputError(list(faults))
    return found
