"""What a search is: its ranges, the other settings, and the commit and code that its trials start from."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.experiments.changes import apply_changes
from deepen.experiments.store import describe_state
from deepen.search.space import Space

SEARCHES = Path("searches")  # in a project, ignored by git
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_PARTS = {
    "changes": "has other ranges or values",
    "settings": "has other settings in params.yaml",
    "commit": "started from another commit",
    "code": "started from other code",
}


def make_definition(project: Path, content: Mapping[str, Any], space: Space, changes: Sequence[str]) -> dict[str, Any]:
    """Return the definition of a search, as JSON types; the searched settings of params.yaml are no part of it."""
    commit, code = describe_state(project)
    settings = apply_changes(content, space.make_changes(space.first))
    definition = {"changes": list(changes), "settings": settings, "commit": commit, "code": code}
    return dict(json.loads(json.dumps(definition)))


def choose_name(name: str | None, definition: Mapping[str, Any]) -> str:
    """Return the name of a search: the given one, or one that follows from the definition; raises InputError."""
    if name is None:
        return f"search-{hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:6]}"
    if not re.fullmatch(_NAME, name):
        raise InputError(f"the name {quote(name)[:60]}: invalid; use 1 to 64 letters, digits, - and _")
    return name


def require_same(name: str, stored: Mapping[str, Any], definition: Mapping[str, Any], remedy: str) -> None:
    """Raise InputError if a stored search of this name is another one."""
    others = [text for part, text in _PARTS.items() if stored.get(part) != definition[part]]
    if others:
        raise InputError(f"{name}: this search {' and '.join(others)}; {remedy}")
