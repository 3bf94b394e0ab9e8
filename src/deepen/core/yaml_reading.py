"""Read YAML 1.2 with DVC's parser, strictly: plain numbers, unique text keys, bounded size."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from deepen.core.errors import InputError
from deepen.core.regular_files import require_regular
from deepen.core.wording import describe_cause

MOST_CHARACTERS = 250_000
MOST_VALUES = 20_000
_MOST_DIGITS = 100  # of a number
_TAG = "tag:yaml.org,2002:"
_SURROGATE = "[\ud800-\udfff]"
_DIGITS = r"(0|[1-9][0-9]*)"
_PLAIN = {  # the allowed notation of each kind of value
    "int": rf"[-+]?{_DIGITS}",
    "float": rf"[-+]?({_DIGITS}(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "bool": "true|True|TRUE|false|False|FALSE",
    "null": "|~|null|Null|NULL",
    "str": "(?s).*",
}
_PROBLEMS = {  # of the parser, in words that name the remedy
    "found character '\\t' that cannot start any token": "a tab in place of spaces; use spaces",
    "but found another document": "a second document starts here; keep one, and remove this line and what follows it",
}
_KINDS = {"int": "number", "float": "number", "bool": "boolean", "null": "null"}


def read_yaml(path: Path, name: str | None = None) -> object:
    """Read a YAML file; raises InputError, with `name` in place of the path, if that fails."""
    require_regular(path, "name a YAML file")
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); run from the folder that holds it") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: invalid YAML: {describe_cause(error)}; save it as UTF-8") from error
    return parse_yaml(text, name or str(path))


def parse_yaml(text: str, name: str) -> object:
    """Parse a YAML text; raises InputError with every fault, each line starting with `name`.

    Faults are invalid YAML, a duplicate key, a key that is not text, a tag other than of plain data, a number in an
    ambiguous notation, and more than the bounds above.
    """
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{name}: has more than {MOST_CHARACTERS:,} characters; shorten it")
    if re.search("^%YAML", text, re.MULTILINE):
        raise InputError(f"{name}: has a line %YAML, which changes what values mean; remove that line")
    try:
        root = compose(text)
        if root is None:
            return None
        for unit, most, count in _BOUNDS:
            if _sum_counts(root, count, {}) > most:
                raise InputError(f"{name}: has more than {most:,} {unit} with aliases expanded; use fewer aliases")
        if faults := [f"{name}: {fault}" for fault in _find_faults(root, "all of it", set())]:
            raise InputError(faults)
        return YAML(typ="safe").load(text)
    except ReusedAnchorWarning as error:
        raise InputError(f"{name}: invalid YAML: duplicate anchor; give each anchor its own name") from error
    except RecursionError as error:
        raise InputError(f"{name}: invalid YAML: nested too deeply; use fewer levels") from error
    except YAMLError as error:
        raise InputError(f"{name}: invalid YAML: {_format_problem(error)}") from error


def is_plain_number(text: str) -> bool:
    """Return whether a text is a number in the notation that is allowed in YAML."""
    return re.fullmatch(f"{_PLAIN['int']}|{_PLAIN['float']}", text) is not None


def compose(text: str) -> Node | None:
    """Return the nodes of a YAML text, with their positions; raises YAMLError or ReusedAnchorWarning."""
    with warnings.catch_warnings(action="error", category=ReusedAnchorWarning):
        return YAML(typ="safe").compose(text)  # type: ignore[no-any-return]


def _format_problem(error: YAMLError) -> str:
    """Return the line, the problem and the remedy of invalid YAML."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        problem = _PROBLEMS.get(error.problem, f"{error.problem}; fix it")
        return f"line {error.problem_mark.line + 1}: {problem}"
    return f"{' '.join(str(error).split())}; fix it"


def _list_children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [each for pair in node.value for each in pair]
    return node.value if isinstance(node, SequenceNode) else []


def _sum_counts(node: Node, count: Callable[[Node], int], sizes: dict[int, float]) -> float:
    """Sum a `count` over a node and its descendants, aliases expanded: infinite for a recursive alias."""
    if id(node) not in sizes:
        sizes[id(node)] = float("inf")
        sizes[id(node)] = count(node) + sum(_sum_counts(child, count, sizes) for child in _list_children(node))
    return sizes[id(node)]


_BOUNDS: tuple[tuple[str, int, Callable[[Node], int]], ...] = (
    ("values", MOST_VALUES, lambda node: 1),
    ("characters", MOST_CHARACTERS, lambda node: len(node.value) if isinstance(node, ScalarNode) else 0),
)


def _find_faults(node: Node, path: str, seen: set[int]) -> Iterator[str]:
    """Yield the faults of a node at `path`, as a.b[0]; an aliased node is reported once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, ScalarNode):
        yield from _find_scalar_faults(node, path)
        return
    if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
        yield f"{path}: has the tag {_get_kind(node)}; remove it"
    elif isinstance(node, MappingNode):
        yield from _find_key_faults(node, path)
        for key, value in node.value:
            yield from _find_faults(value, _join_path(path, key), seen)
    else:
        for i, value in enumerate(node.value):
            yield from _find_faults(value, f"{path}[{i}]", seen)


def _join_path(path: str, key: Node) -> str:
    return f"{path}.{str(key.value)[:60]}".removeprefix("all of it.")


def _find_key_faults(node: MappingNode, path: str) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        where = _join_path(path, key)
        if not isinstance(key, ScalarNode):
            yield f"{path}: line {key.start_mark.line + 1}: a key must be text, got a list or a mapping"
        elif key.tag == f"{_TAG}merge":
            continue
        elif key.tag != f"{_TAG}str":
            kind = _KINDS.get(_get_kind(key), _get_kind(key))
            yield f'{where}: a key must be text, got a {kind}; write "{key.value[:60]}":'
        elif re.search(_SURROGATE, key.value):
            yield f"{where}: a key must be text, got a lone surrogate; write the whole character"
        elif key.value in lines:
            line = key.start_mark.line + 1
            yield f"{where}: duplicate key in lines {lines[key.value]} and {line}; remove one of them"
        else:
            lines[key.value] = key.start_mark.line + 1


def _get_kind(node: Node) -> str:
    return str(node.tag).removeprefix(_TAG)


def _find_scalar_faults(node: ScalarNode, path: str) -> Iterator[str]:
    kind, text = _get_kind(node), node.value[:60]
    name = "" if path.endswith("]") else f"{path.rpartition('.')[2]}: "
    if kind in ("timestamp", "value"):
        yield f'{path}: {text} is not plain text; write {name}"{text}"'
    elif kind not in _PLAIN:
        yield f"{path}: has the tag {kind}; remove it"
    elif re.search(_SURROGATE, node.value):
        yield f"{path}: {text} has a lone surrogate, which UTF-8 can't encode; write the whole character"
    elif not re.fullmatch(_PLAIN[kind], node.value):
        value = _format_plain_value(node)
        remedy = f"write {name}{value}, or " if value is not None else "write "
        yield f'{path}: {text} is not a plain {_KINDS[kind]}; {remedy}{name}"{text}" if it is text'
    elif kind in ("int", "float") and len(node.value) > _MOST_DIGITS:
        yield f"{path}: {text}... has more than {_MOST_DIGITS} digits; write a shorter number"


def _format_plain_value(node: ScalarNode) -> str | None:
    """Return a number or boolean in plain notation; None for other kinds, and for overlong numbers."""
    try:
        value = YAML(typ="safe").constructor.construct_object(node)
    except (YAMLError, ValueError, KeyError, IndexError):
        return None
    return repr(value).lower() if isinstance(value, int | float) and len(node.value) <= _MOST_DIGITS else None
