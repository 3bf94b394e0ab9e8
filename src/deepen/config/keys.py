"""Known keys at a path of params.yaml, with an example of each, from the types of the settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def list_known_keys(root: type[BaseModel], content: Mapping[str, Any], path: Sequence[int | str]) -> dict[str, Any]:
    """Return the keys below a path, each with an example, or None for a section.

    If a section has several kinds, such as optimizers, only the keys of the kind that `content` names; all keys if it
    names none.
    """
    annotation: Any = root
    node: Any = content
    for part in path:
        fields = _list_fields(annotation, node)
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif part in fields:
            annotation = fields[str(part)].annotation
        else:
            return {}
        node = node.get(part) if isinstance(node, dict) else None
    return {
        name: field.examples[0] if field.examples else None for name, field in _list_fields(annotation, node).items()
    }


def _list_fields(annotation: Any, node: Any) -> dict[str, FieldInfo]:
    sections = list(_list_sections(annotation))
    named = [section for section in sections if isinstance(node, dict) and _has_name(section, node)]
    return {name: field for section in named or sections for name, field in section.model_fields.items()}


def _list_sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the kinds of section that an annotation allows, but not those of the entries of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) not in (dict, list):
        for part in get_args(annotation):
            yield from _list_sections(part)


def _has_name(section: type[BaseModel], node: Mapping[str, Any]) -> bool:
    """Return whether the `name` or `source` of a node is that of this kind of section."""
    return any(
        node.get(tag) in get_args(section.model_fields[tag].annotation)
        for tag in ("name", "source")
        if tag in section.model_fields
    )
