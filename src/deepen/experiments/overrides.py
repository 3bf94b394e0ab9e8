"""Changes of settings in Hydra's grammar, in which `dvc exp run` takes them: key=value, odd values in quotes."""

import re
from collections.abc import Iterator, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_PATHS = ("root", "start")  # settings that are never numbers, lists or the like, whatever they look like
_FLAGS = ("-S", "--set-param")


def quoted_options(options: Sequence[str]) -> Iterator[str]:
    """Options of `dvc exp run`, the values of -S in quotes where Hydra's grammar needs them.

    `--changes` gives several at once, with blanks between them. With --queue a comma is between values to try.
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
        for change in split_changes(value) if flag == "--changes" else [value]:
            yield from ("--set-param", quoted(change, sweeps))


def split_changes(text: str) -> list[str]:
    """The changes in a text that has blanks between them, such as "lr=0.1 datasets.folder.root=/my photos"."""
    return [change for change in re.split(r"\s+(?=[~+]{0,2}[\w.-]+=|~\w)", text.strip()) if change]


def quoted(change: str, sweeps: bool = False) -> str:
    """A change whose value is in quotes where it must be; with `sweeps` its commas are between several values."""
    key, equals, value = change.partition("=")
    if not equals:
        return change
    text = key.rpartition(".")[2] in _PATHS
    if sweeps and (text or not _in_grammar(change)):
        return f"{key}=" + ",".join(_value(key, each, text) for each in value.split(","))
    return f"{key}={_value(key, value, text)}"


def _value(key: str, value: str, text: bool) -> str:
    in_quotes = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    if not value or in_quotes or (not text and _in_grammar(f"{key}={value}")):
        return value
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), value)
    return "'" + escaped.replace("${", "\\${") + "'"


def _in_grammar(change: str) -> bool:
    try:
        OverridesParser.create().parse_override(change)
    except HydraException:
        return False
    return True


def replacement(settings: Mapping[str, object]) -> Iterator[str]:
    """What makes any params.yaml these settings."""
    for name, value in settings.items():
        if isinstance(value, dict):  # else the two would be merged
            yield f"~{name}"
        yield f"++{name}={_written(value)}"


def _written(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_written, value)) + "]"
        case str():
            return _value("", value, text=True) or "''"
        case None:
            return "null"
        case _:
            return str(value).lower()
