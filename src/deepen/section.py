"""What all parts of params.yaml have in common."""

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError


def _auto_is_none(value: object) -> object:
    if value is None:
        raise PydanticCustomError("empty", "must be a number or auto")
    return None if value == "auto" else value


auto = BeforeValidator(_auto_is_none)


class Section(BaseModel):
    """A part of params.yaml: its types exactly, no key that is not known, no change after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
