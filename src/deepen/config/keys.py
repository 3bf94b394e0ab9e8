"""The keys that are known at a path of params.yaml, with an example of each, as the types of the settings say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def known_keys(root: type[BaseModel], content: Mapping[str, Any], path: Sequence[int | str]) -> dict[str, Any]:
    """The keys below a path, each with an example, or None where it holds further keys.

    Where several kinds of a section are possible, as of optimizers, they are those of the kind that `content` names; of
    all kinds where it names none.
    """
    annotation: Any = root
    node: Any = content
    for part in path:
        fields = _fields(annotation, node)
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif part in fields:
            annotation = fields[str(part)].annotation
        else:
            return {}
        node = node.get(part) if isinstance(node, dict) else None
    return {name: field.examples[0] if field.examples else None for name, field in _fields(annotation, node).items()}


def _fields(annotation: Any, node: Any) -> dict[str, FieldInfo]:
    sections = list(_sections(annotation))
    named = [section for section in sections if isinstance(node, dict) and _is_named(section, node)]
    return {name: field for section in named or sections for name, field in section.model_fields.items()}


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The kinds of section that an annotation admits; an entry of a mapping is one level further down."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) not in (dict, list):
        for part in get_args(annotation):
            yield from _sections(part)


def _is_named(section: type[BaseModel], node: Mapping[str, Any]) -> bool:
    """Whether a `name` or `source` says that this is the kind of section."""
    return any(
        node.get(tag) in get_args(section.model_fields[tag].annotation)
        for tag in ("name", "source")
        if tag in section.model_fields
    )
