"""What is wrong with a params.yaml, in sentences: path, rule, value and remedy."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from deepen.config.keys import known_keys
from deepen.core.nearest import suggestion
from deepen.core.yaml_reading import is_plain_number

NAME = r"[A-Za-z0-9_-]{1,64}"  # of a data set or recipe
START_FILE = r"(?s).*-([0-9a-f]{8})\.safetensors"  # the hash is of what is in it, so the setting says that


def fault_sentence(root: type[BaseModel], content: Mapping[str, Any], detail: ErrorDetails) -> str:
    """One of pydantic's findings on a `root` as: path: rule, value; remedy."""
    found = _real_path(content, detail["loc"])
    keys = known_keys(root, content, found[:-1])
    *parents, last = path = [str(part)[:60] for part in found]
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
            return f"{where}: unknown key" + (suggestion(last, keys) or "; remove it")
        case "literal_error":
            known = re.findall("'([^']*)'", str(context["expected"]))
            return f"{where}: must be {context['expected']}, got {show(value)}{suggestion(str(value), known)}"
        case "union_tag_invalid":
            return f"{where}.{_tag_key(context)}: must be one of {context['expected_tags']}, got {show(context['tag'])}"
        case "union_tag_not_found":
            tag = _tag_key(context)
            return f"{where}.{tag}: is missing; write for example {tag}: {known_keys(root, content, found)[tag]}"
        case "float_type" | "int_type" if isinstance(value, str) and is_plain_number(value.strip()):
            return f"{where}: must be a number, got the string '{value}'; write {value.strip()}"
        case "nesterov":
            return f"{where}: {detail['msg']}"
        case "string_pattern_mismatch":
            return f"{where}: must be one of auto, cpu, mps, cuda and cuda:<number>, got {show(value)}; {remedy}"
    return f"{where}: {_rule(detail['msg'])}, got {show(value)}; {remedy}"


def _rule(message: str) -> str:
    """A message of pydantic's in our words."""
    rule = re.sub("^(Input|String|List|Dictionary) should ", "must ", message)
    rule = re.sub(" (or object to extract fields from|after validation, not [0-9a-z]+)$", "", rule)
    return (
        rule.replace("a valid integer", "a whole number")
        .replace("a valid boolean", "true or false")
        .replace("a valid", "a")
    )


def _real_path(content: Mapping[str, Any], location: tuple[int | str, ...]) -> list[int | str]:
    """pydantic's location without the tags that it inserts for kinds of data sets and schedules."""
    node: Any = content
    path: list[int | str] = []
    for i, part in enumerate(location):
        is_tag = isinstance(node, dict) and i < len(location) - 1 and part not in node
        if not is_tag:
            path.append(part)
            node = node.get(part) if isinstance(node, dict) else None
    return path


def _tag_key(context: Mapping[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def show(value: object) -> str:
    """A value for an error message: its kind where that is not plain, and no more of it than a line holds."""
    if value is None:
        return "nothing"
    kinds = {str: "the string ", bool: "the truth value "}
    text = repr(value)
    return kinds.get(type(value), "") + (text if len(text) <= 60 else text[:57] + "...")
