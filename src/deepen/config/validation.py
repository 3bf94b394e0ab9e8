"""Turn pydantic's validation errors into sentences with path, rule, value and remedy."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from deepen.config.keys import list_known_keys
from deepen.core.nearest import suggest_name
from deepen.core.wording import format_value, translate_rule
from deepen.core.yaml_reading import is_plain_number

NAME = r"[A-Za-z0-9_-]{1,64}"  # of a data set or recipe
START_FILE = r"(?s).*-([0-9a-f]{8})\.safetensors"  # the hash is of the content, so the setting identifies it


def format_fault(root: type[BaseModel], content: Mapping[str, Any], detail: ErrorDetails) -> str:
    """Format one of pydantic's errors on a `root` as: path: rule, value; remedy."""
    location = _strip_tags(content, detail["loc"])
    keys = list_known_keys(root, content, location[:-1])
    *parents, last = path = [str(part)[:60] for part in location]
    where, context, value = ".".join(path), detail.get("ctx", {}), detail["input"]
    example = keys.get(last)
    remedy = (
        f"write for example {last}: {example}"
        if example is not None
        else f"see {'.'.join(parents) or 'the comments'} there"
    )
    match detail["type"]:
        case "missing":
            return f"{where}: is missing; {remedy}"
        case "extra_forbidden":
            return f"{where}: unknown key" + (suggest_name(last, keys) or "; remove it")
        case "literal_error":
            known = re.findall("'([^']*)'", str(context["expected"]))
            return f"{where}: must be {context['expected']}, got {format_value(value)}{suggest_name(str(value), known)}"
        case "union_tag_invalid":
            key, tag = _get_tag_key(context), format_value(context["tag"])
            return f"{where}.{key}: must be one of {context['expected_tags']}, got {tag}"
        case "union_tag_not_found":
            tag = _get_tag_key(context)
            return (
                f"{where}.{tag}: is missing; write for example {tag}: {list_known_keys(root, content, location)[tag]}"
            )
        case "float_type" | "int_type" if isinstance(value, str) and is_plain_number(value.strip()):
            return f"{where}: must be a number, got the string '{value}'; write {value.strip()}"
        case "nesterov":
            return f"{where}: {detail['msg']}"
        case "string_pattern_mismatch":
            return (
                f"{where}: must be one of auto, cpu, mps, cuda and cuda:<number>, got {format_value(value)}; {remedy}"
            )
    return f"{where}: {translate_rule(detail['msg'])}, got {format_value(value)}; {remedy}"


def _strip_tags(content: Mapping[str, Any], location: tuple[int | str, ...]) -> list[int | str]:
    """Return pydantic's location without the tags that it inserts for kinds of data sets and schedules."""
    node: Any = content
    path: list[int | str] = []
    for i, part in enumerate(location):
        is_tag = isinstance(node, dict) and i < len(location) - 1 and part not in node
        if not is_tag:
            path.append(part)
            node = node.get(part) if isinstance(node, dict) else None
    return path


def _get_tag_key(context: Mapping[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")
