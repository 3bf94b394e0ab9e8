"""Find settings and values of a search that change no training, and values with which no ladder can be built."""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice

from deepen.core.errors import InputError, quote
from deepen.search.space import Space, Value
from deepen.search.trainings import NAME, Trainings

_MOST_COMPARED = 300  # combinations of the values of other settings
_EFFECTIVE = {  # when some settings have an effect, by the end of their name
    "growth": "on new layers of models that grow from another, and copy only between equal shapes",
    "grown_lr": "on models that grow from another or start from a file",
    "least_images": "where epochs are auto, and if it gives more of them than the recipe",
    "training.epochs": "where models have epochs: auto, and if least_images gives fewer",
    "dropout": "after fc layers",
}


def find_training_faults(trainings: Trainings, space: Space, depth: str) -> Iterator[tuple[str, str]]:
    """Yield (setting, fault) of each setting that changes no training of `depth`, or has values that can't be trained.

    A value counts if it does with any values of the others; of many combinations, the first are compared.
    """
    for name in space.varied:
        values = space.list_examples(name)
        same, failed = _compare(trainings, space, name, values)
        if failed:
            yield from ((name, fault) for fault in _describe_failed(trainings, space, name, failed))
        elif len(same) == len(list(combinations(values, 2))):
            yield name, f"{quote(name)}: does not change the training of {quote(depth)}{_explain(name)}; leave it out"
        else:
            end = f"train {quote(depth)} the same way; list one of them"
            yield from ((name, f"{quote(name)}: {_show(first)} and {_show(second)} {end}") for first, second in same)


def _explain(name: str) -> str:
    """Return when a setting has an effect."""
    why = next((why for end, why in _EFFECTIVE.items() if f".{name}".endswith(f".{end}")), "")
    return f" with these settings{f', as it acts only {why}' * bool(why)}"


def _compare(
    trainings: Trainings, space: Space, name: str, values: Sequence[Value]
) -> tuple[list[tuple[Value, Value]], dict[Value, InputError]]:
    """Return the pairs of values that never differ in training, and the faults of values that can't be trained."""
    same = list(combinations(range(len(values)), 2))
    failed: dict[int, InputError] = {}
    built: set[int] = set()
    for context in islice(_iter_contexts(space, name), _MOST_COMPARED):
        found = [trainings.describe(context | {name: value}) for value in values]
        for i, each in enumerate(found):
            if isinstance(each, InputError):
                failed.setdefault(i, each)
            else:
                built.add(i)
        same = [(i, j) for i, j in same if isinstance(found[i], InputError) or found[i] == found[j]]
        if not same and len(built) == len(values):
            break
    return [(values[i], values[j]) for i, j in same], {values[i]: failed[i] for i in failed if i not in built}


def _iter_contexts(space: Space, name: str) -> Iterator[dict[str, Value]]:
    """Yield the first value of each setting, then with one other setting changed, then with two, and so on."""
    others = [(each, value) for each in space.varied if each != name for value in space.list_examples(each)[1:]]
    for count in range(len(space.varied)):
        for changed in combinations(others, count):
            if len(dict(changed)) == count:
                yield space.first | dict(changed)


def _describe_failed(trainings: Trainings, space: Space, name: str, failed: dict[Value, InputError]) -> Iterator[str]:
    """Yield the faults of values that can't be trained; without the value if that is so for all values."""
    if len(failed) == len(space.list_examples(name)):
        yield from (f"{NAME}: {fault.removeprefix('params.yaml: ')}" for fault in trainings.find_faults(space.first))
        return
    for value, error in failed.items():
        yield from (f"{quote(name)}={_show(value)}: {fault.removeprefix('params.yaml: ')}" for fault in error.faults)


def _show(value: Value) -> str:
    return quote(str(value).strip("'"))[:200]
