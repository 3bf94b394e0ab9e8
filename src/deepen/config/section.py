"""The base class of all sections of params.yaml, and the types `auto` and PathText."""

import os
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from deepen.core.yaml_reading import is_plain_number


def _parse_auto(value: object) -> object:
    if value is None:
        raise PydanticCustomError("empty", "must be a number or auto")
    if isinstance(value, str) and value != "auto" and not is_plain_number(value.strip()):
        raise PydanticCustomError("no_number", "must be a number or auto")
    return None if value == "auto" else value


auto = BeforeValidator(_parse_auto)


def _parse_none(value: object) -> object:
    if value is None or (isinstance(value, str) and value != "none" and not is_plain_number(value.strip())):
        raise PydanticCustomError("none", "must be a number or none")
    return None if value == "none" else value


none = BeforeValidator(_parse_none)


def _validate_path(text: str) -> str:
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in text):
        raise PydanticCustomError("path", "must have no control character")
    if any(len(os.fsencode(part)) > 255 for part in text.split("/")):
        raise PydanticCustomError("path", "must have at most 255 bytes between two slashes")
    return text


PathText = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_validate_path)]


class Section(BaseModel):
    """A section of params.yaml: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
