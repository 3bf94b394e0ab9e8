"""Setting overrides in Hydra's grammar, as `dvc exp run` takes them: key=value, with special values quoted."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from deepen.core.errors import InputError

_PATHS = ("root", "start")  # settings whose values are always strings
_FLAGS = ("-S", "--set-param")


def quote_options(options: Sequence[str]) -> Iterator[str]:
    """Yield options of `dvc exp run` with the values of -S quoted if Hydra's grammar requires it.

    `--changes` takes several changes, separated by spaces. With --queue, commas separate values of a grid. Raises
    InputError for an option without a change.
    """
    sweeps, rest = "--queue" in options, iter(options)
    for word in rest:
        flag, equals, value = word.partition("=")
        if word in (*_FLAGS, "--changes"):
            flag, value = word, next(rest, "")
        elif word[:2] == "-S" and word[2:]:
            flag, value = "-S", word[2:]
        elif not (equals and flag in (*_FLAGS, "--changes")):
            yield word
            continue
        if not value.strip() or value.startswith("-"):
            raise InputError(f"{flag}: missing setting; write for example -S lr=0.01")
        for change in split_changes(value) if flag == "--changes" else [value]:
            yield from ("--set-param", quote_change(change, sweeps))


def split_changes(text: str) -> list[str]:
    """Split a text at the spaces between changes, such as "lr=0.1 datasets.folder.root=/my photos"."""
    return [change for change in re.split(r"\s+(?=[~+]{0,2}[\w.-]+=|~\w)", text.strip()) if change]


def quote_change(change: str, sweeps: bool = False) -> str:
    """Quote the value of a change if necessary; with `sweeps`, commas separate several values."""
    key, equals, value = change.partition("=")
    if not equals:
        return change
    text = key.rpartition(".")[2] in _PATHS
    if sweeps and (text or not _is_valid(change)):
        return f"{key}=" + ",".join(_quote_value(key, each, text) for each in value.split(","))
    return f"{key}={_quote_value(key, value, text)}"


def _quote_value(key: str, value: str, text: bool) -> str:
    in_quotes = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    if not value or in_quotes or (not text and _is_valid(f"{key}={value}")):
        return value
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), value)
    return "'" + escaped.replace("${", "\\${") + "'"


def _is_valid(change: str) -> bool:
    try:
        OverridesParser.create().parse_override(change)
    except HydraException:
        return False
    return True


def make_overrides(settings: Mapping[str, object], present: Container[str]) -> Iterator[str]:
    """Yield the overrides that replace the content of a params.yaml, in which some keys are `present`, by settings."""
    for name, value in settings.items():
        if isinstance(value, dict) and name in present:  # delete it first: Hydra merges mappings
            yield f"~{name}"
        yield f"++{name}={format_override_value(value)}"


def format_override_value(value: object) -> str:
    """Format a setting as the value of an override, in Hydra's grammar."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {format_override_value(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(format_override_value, value)) + "]"
        case str():
            return _quote_value("", value, text=True) or "''"
        case None:
            return "null"
        case _:
            return str(value).lower()
