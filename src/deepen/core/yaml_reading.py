"""YAML as DVC reads it: with its parser, YAML 1.2. Numbers must be written plainly, for people to read them alike."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from deepen.core.errors import InputError

MOST_CHARACTERS = 250_000
MOST_VALUES = 20_000
_MOST_DIGITS = 100  # of a number
_TAG = "tag:yaml.org,2002:"
_SURROGATE = "[\ud800-\udfff]"
_DIGITS = r"(0|[1-9][0-9]*)"
_PLAIN = {  # how values are written, by the kind that the parser takes them for
    "int": rf"[-+]?{_DIGITS}",
    "float": rf"[-+]?({_DIGITS}(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "bool": "true|True|TRUE|false|False|FALSE",
    "null": "|~|null|Null|NULL",
    "str": "(?s).*",
}
_KINDS = {"int": "number", "float": "number", "bool": "truth value", "null": "null"}


def read_yaml(path: Path, name: str | None = None) -> object:
    """What a YAML file holds; raises InputError, with `name` in place of the path, where it can't be read."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); run from the folder that holds it") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: invalid YAML: {error}; save it as UTF-8") from error
    return parse_yaml(text, name or str(path))


def parse_yaml(text: str, name: str) -> object:
    """What a YAML text holds; raises InputError with every fault, each line opening with `name`.

    A fault is what is invalid YAML, a key twice, a key that is not text, a tag of another kind than plain data, a
    number in a notation that people may read as another number, or more than the bounds above.
    """
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{name}: has more than {MOST_CHARACTERS:,} characters; write fewer")
    if re.search("^%YAML", text, re.MULTILINE):
        raise InputError(f"{name}: has a line %YAML, which changes what values mean; remove that line")
    try:
        root = compose(text)
        if root is None:
            return None
        for what, most, count in _BOUNDS:
            if _size(root, count, {}) > most:
                raise InputError(f"{name}: has more than {most:,} {what}, aliases written out; write fewer aliases")
        if faults := [f"{name}: {fault}" for fault in _faults(root, "all of it", set())]:
            raise InputError(faults)
        return YAML(typ="safe").load(text)
    except ReusedAnchorWarning as error:
        raise InputError(f"{name}: invalid YAML: an anchor is given twice; give each a name of its own") from error
    except RecursionError as error:
        raise InputError(f"{name}: invalid YAML: is nested too deeply; write fewer brackets") from error
    except YAMLError as error:
        raise InputError(f"{name}: invalid YAML: {_problem(error)}; correct it there") from error


def is_plain_number(text: str) -> bool:
    """Whether a text is a number in the notation that a YAML file must have it in."""
    return re.fullmatch(f"{_PLAIN['int']}|{_PLAIN['float']}", text) is not None


def compose(text: str) -> Node | None:
    """The nodes of a YAML text, with where each begins and ends; raises YAMLError or ReusedAnchorWarning."""
    with warnings.catch_warnings(action="error", category=ReusedAnchorWarning):
        return YAML(typ="safe").compose(text)  # type: ignore[no-any-return]


def _problem(error: YAMLError) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [each for pair in node.value for each in pair]
    return node.value if isinstance(node, SequenceNode) else []


def _size(node: Node, count: Callable[[Node], int], sizes: dict[int, float]) -> float:
    """The sum of a `count` over all that a node holds, aliases written out: infinite where it holds itself."""
    if id(node) not in sizes:
        sizes[id(node)] = float("inf")
        sizes[id(node)] = count(node) + sum(_size(child, count, sizes) for child in _children(node))
    return sizes[id(node)]


_BOUNDS: tuple[tuple[str, int, Callable[[Node], int]], ...] = (
    ("values", MOST_VALUES, lambda node: 1),
    ("characters", MOST_CHARACTERS, lambda node: len(node.value) if isinstance(node, ScalarNode) else 0),
)


def _faults(node: Node, path: str, seen: set[int]) -> Iterator[str]:
    """What is wrong in a node at `path`, as a.b[0]; what an alias stands for is told once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, ScalarNode):
        yield from _scalar_faults(node, path)
        return
    if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
        yield f"{path}: has the tag {_kind(node)}; remove it"
    elif isinstance(node, MappingNode):
        yield from _key_faults(node, path)
        for key, value in node.value:
            yield from _faults(value, _within(path, key), seen)
    else:
        for i, value in enumerate(node.value):
            yield from _faults(value, f"{path}[{i}]", seen)


def _within(path: str, key: Node) -> str:
    return f"{path}.{str(key.value)[:60]}".removeprefix("all of it.")


def _key_faults(node: MappingNode, path: str) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        where = _within(path, key)
        if not isinstance(key, ScalarNode):
            yield f"{path}: line {key.start_mark.line + 1}: a key must be text, got a list or a mapping"
        elif key.tag == f"{_TAG}merge":
            continue
        elif key.tag != f"{_TAG}str":
            yield f'{where}: a key must be text, got a {_KINDS.get(_kind(key), _kind(key))}; write "{key.value[:60]}":'
        elif re.search(_SURROGATE, key.value):
            yield f"{where}: a key must be text, got half of a character; write it whole"
        elif key.value in lines:
            yield f"{where}: is in lines {lines[key.value]} and {key.start_mark.line + 1}; remove one of them"
        else:
            lines[key.value] = key.start_mark.line + 1


def _kind(node: Node) -> str:
    return str(node.tag).removeprefix(_TAG)


def _scalar_faults(node: ScalarNode, path: str) -> Iterator[str]:
    kind, text = _kind(node), node.value[:60]
    name = "" if path.endswith("]") else f"{path.rpartition('.')[2]}: "
    if kind in ("timestamp", "value"):
        yield f'{path}: {text} is not plain text; write {name}"{text}"'
    elif kind not in _PLAIN:
        yield f"{path}: has the tag {kind}; remove it"
    elif re.search(_SURROGATE, node.value):
        yield f"{path}: {text} has half of a character, which no file can hold; write the whole character"
    elif not re.fullmatch(_PLAIN[kind], node.value):
        value = _value(node)
        remedy = f"write {name}{value}, or " if value is not None else "write "
        yield f'{path}: {text} is not a plain {_KINDS[kind]}; {remedy}{name}"{text}" if it is text'
    elif kind in ("int", "float") and len(node.value) > _MOST_DIGITS:
        yield f"{path}: {text}... has more than {_MOST_DIGITS} digits; write a shorter number"


def _value(node: ScalarNode) -> str | None:
    """A number or truth value as it is written plainly; None where it is neither, or too long to be meant."""
    try:
        value = YAML(typ="safe").constructor.construct_object(node)
    except (YAMLError, ValueError, KeyError, IndexError):
        return None
    return repr(value).lower() if isinstance(value, int | float) and len(node.value) <= _MOST_DIGITS else None
