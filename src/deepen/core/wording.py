"""What libraries say about invalid files and values, in words that people who know the file format understand."""

import json
import re
from urllib.error import URLError

from pydantic_core import ErrorDetails, ValidationError
from safetensors import SafetensorError

_MOST = 3  # invalid values named for one file
_RULES = {
    **dict.fromkeys(("missing", "missing_argument"), "is missing"),
    **dict.fromkeys(("extra_forbidden", "unexpected_keyword_argument"), "unknown key"),
    **dict.fromkeys(("dict_type", "dataclass_type", "dataclass_exact_type", "model_type"), "must be an object"),
    "string_pattern_mismatch": "invalid",
}


def describe_cause(error: Exception) -> str:
    """Return why a file can't be read, as a phrase for a message; the text of an unknown error is kept."""
    match error:
        case URLError():
            return describe_cause(error.reason) if isinstance(error.reason, Exception) else str(error)
        case OSError():
            return error.strerror or str(error) or type(error).__name__
        case UnicodeDecodeError():
            return f"not UTF-8 text, byte 0x{error.object[error.start]:02x} at position {error.start:,}"
        case json.JSONDecodeError():
            return f"invalid JSON in line {error.lineno}" if error.doc.strip() else "it is empty"
        case ValidationError():
            return _describe_values(error)
        case SafetensorError():
            return _describe_safetensors(str(error))
        case RecursionError():
            return "nested too deeply"
        case KeyError():
            return f"{error.args[0]} is missing" if error.args else "a key is missing"
        case AttributeError() | TypeError():
            return "it has another structure"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _describe_safetensors(message: str) -> str:
    if missing := re.search(r"does not contain tensor (\S+)", message):
        return f"tensor {missing[1]} is missing"
    if "not fully covered" in message:
        return "its size is not the one in its header"
    return "it is empty or cut off" if "header too small" in message else "its header is damaged"


def _describe_values(error: ValidationError) -> str:
    """Name the first invalid values, with the rule that each breaks."""
    faults = [_describe_value(each) for each in error.errors(include_url=False)]
    return "; ".join(faults[:_MOST]) + (f"; and {len(faults) - _MOST} more" if len(faults) > _MOST else "")


def _describe_value(detail: ErrorDetails) -> str:
    if detail["type"] == "json_invalid":
        return "invalid JSON" if str(detail["input"]).strip() not in ("", "b''") else "it is empty"
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    rule = _RULES.get(detail["type"]) or translate_rule(detail["msg"])
    with_value = detail["type"] not in ("missing", "missing_argument", "value_error") and rule != "unknown key"
    value = f", got {format_value(detail['input'])}" if with_value else ""
    return f"{path}: {rule}{value}" if path else f"{rule}{value}"


def translate_rule(message: str) -> str:
    """Replace the wording of pydantic's message by terms of YAML and JSON."""
    rule = re.sub("^(Input|String|List|Tuple|Dictionary) should ", "must ", message)
    rule = re.sub(" (or object to extract fields from|after validation, not [0-9a-z]+)$", "", rule)
    rule = re.sub("^Value error, ", "", rule)
    return (
        rule.replace("a valid integer", "a whole number")
        .replace("a valid boolean", "true or false")
        .replace("a valid", "a")
    )


def format_value(value: object) -> str:
    """Format a value for an error message: with its type if that is not obvious, and shortened."""
    if value is None:
        return "nothing"
    kinds = {str: "the string ", bool: "the boolean "}
    text = repr(value)
    return kinds.get(type(value), "") + (text if len(text) <= 60 else text[:57] + "...")
