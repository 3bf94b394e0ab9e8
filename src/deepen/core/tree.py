"""The tree of a ladder, from the model that each grows from: its order, and its drawing as text."""

from collections.abc import Iterator, Mapping

_BRANCH, _LAST, _LINE, _SPACE = "\u251c\u2500 ", "\u2514\u2500 ", "\u2502  ", "   "


def list_children(after: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the models that grow from each model; `after` has the one that each grows from.

    A model that grows from none of them is listed under the empty name, as one that is trained from scratch.
    """
    children: dict[str, list[str]] = {}
    for name, origin in after.items():
        children.setdefault(origin if origin in after else "", []).append(name)
    return children


def is_chain(after: Mapping[str, str]) -> bool:
    """Return whether each model grows from the one before it, as in a ladder without branches."""
    return all(len(names) == 1 for names in list_children(after).values())


def draw_tree(after: Mapping[str, str]) -> dict[str, str]:
    """Return what to write before each model's name, in the order of the tree: nothing if it has no branches."""
    plain = is_chain(after)
    return {name: "" if plain else lines for name, lines in _walk(list_children(after))}


def _walk(children: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield each model after the one that it grows from, with its lines; without recursion, as chains may be long."""
    left = [(name, "", "") for name in reversed(children.get("", []))]
    while left:
        name, lines, below = left.pop()
        yield name, lines
        following = children.get(name, [])
        marks = [(_BRANCH, _LINE)] * (len(following) - 1) + [(_LAST, _SPACE)]
        rows = [(each, below + mark, below + line) for each, (mark, line) in zip(following, marks, strict=False)]
        left += reversed(rows)
