"""Settings of an arm that may differ by budget: a value, or a mapping from the least budget (PFLOP) that it is for."""

import re
from collections.abc import Collection
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Discriminator, Tag

from deepen.core.errors import InputError

T = TypeVar("T")
C = TypeVar("C", bound=Collection[str])
KINDS = ("one value", "a value for each budget")  # in the locations of pydantic's errors


def is_budget(text: object) -> bool:
    """Return whether a text is a number of PFLOP."""
    return isinstance(text, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None


def _is_by_budget(values: object) -> bool:
    return isinstance(values, dict) and len(values) > 0 and all(map(is_budget, values))


def check_budget(text: str) -> str:
    """Return a budget (PFLOP) of a file; raises ValueError, which pydantic reports."""
    if not is_budget(text) or float(text) == 0:
        raise ValueError("must be a number of PFLOP above 0")
    return text


def check_budgets_differ(budgets: C) -> C:
    """Return budgets, or a mapping from them; raises ValueError, which pydantic reports, for 0.1 beside 0.10."""
    if len(set(map(float, budgets))) < len(budgets):
        raise ValueError("must have each budget once")
    return budgets


ByBudget = Annotated[
    Annotated[T, Tag(KINDS[0])] | Annotated[dict[str, T], AfterValidator(check_budgets_differ), Tag(KINDS[1])],
    Discriminator(lambda values: KINDS[_is_by_budget(values)]),
]


def choose_by_budget(values: Any, budget: float) -> Any:
    """Return the value of the greatest budget that is not above this one (PFLOP); raises InputError.

    Values that are not a mapping from budgets are the same for all.
    """
    if not _is_by_budget(values):
        return values
    below = [key for key in values if float(key) <= budget]
    if not below:
        raise InputError(f"no value for a budget of {budget:g} PFLOP; the least is {min(values, key=float)}, lower it")
    return values[max(below, key=float)]
