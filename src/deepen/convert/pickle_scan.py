"""Scan pickle instructions without executing them: names, texts, storages and sizes."""

import pickletools
from dataclasses import dataclass, field
from typing import IO, Any

MOST_PICKLE = 1 << 22  # bytes of instructions; a thousand layers need a tenth
MOST_NESTED = 10_000  # items of a tuple, with nested ones; a normal file has about 20
MOST_HASHED = 10_000_000  # items of all mapping keys and set elements, with nested ones

_FILLING = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
_HASHING = (" set", " Counter", " OrderedDict")
_ENOUGH = 10**12  # items, the maximum that is counted
_ITEM_BYTES = {
    "Double": 8, "Long": 8, "ComplexFloat": 8, "ComplexDouble": 16, "Float": 4, "Int": 4, "QInt32": 4,
    "Half": 2, "BFloat16": 2, "Short": 2,
}  # fmt: skip


@dataclass
class PickleContents:
    """The contents of pickles: names of classes and functions, texts, and storages by key, in bytes."""

    names: dict[str, None] = field(default_factory=dict)  # in order
    texts: set[str] = field(default_factory=set)
    storages: dict[str, int] = field(default_factory=dict)
    hashed: int = 0  # items


@dataclass
class _Item:
    """An item of the stack: its size in nested items, and its value if needed later."""

    size: int = 1
    value: Any = None


class LimitExceeded(Exception):
    """Raised when a file exceeds a limit."""


def scan_pickle(part: IO[bytes], contents: PickleContents) -> None:
    """Scan the instructions of one pickle; a damaged one may raise any exception."""
    stack: list[_Item | None] = []  # None is a mark
    memo: dict[int, _Item | None] = {}
    start = None
    for instruction, argument, position in pickletools.genops(part):
        start = position if start is None else start
        if position is not None and start is not None and position - start > MOST_PICKLE:
            raise LimitExceeded(f"has more than {MOST_PICKLE:,} bytes of pickle instructions")
        name = instruction.name
        if "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if argument is None else int(str(argument))] = stack[-1]
        elif "GET" in name:
            stack.append(memo[int(str(argument))])
        elif name == "MARK":
            stack.append(None)
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in _FILLING:
            stack.append(_fill(name, _pop_items(stack, instruction), contents))
        else:
            taken = _pop_items(stack, instruction)
            if instruction.stack_after:
                stack.append(_apply(name, argument, taken, contents))


def _pop_items(stack: list[_Item | None], instruction: pickletools.OpcodeInfo) -> list[_Item]:
    """Pop the arguments of an instruction from the stack, in order."""
    taken: list[_Item] = []
    before = [each.name for each in instruction.stack_before]
    if "mark" in before:
        while (item := stack.pop()) is not None:
            taken.append(item)
        before = before[: before.index("mark")]
    for _ in before:
        item = stack.pop()
        taken.append(item if item is not None else _Item())
    return taken[::-1]


def _fill(name: str, taken: list[_Item], contents: PickleContents) -> _Item:
    """Add items to a list, mapping or object; count the keys of mappings, which are hashed."""
    container, *items = taken
    container.size = min(container.size + sum(item.size for item in items), _ENOUGH)
    if name.startswith(("SETITEM", "ADDITEM")):
        _note_hashed(items[:: 2 if name.startswith("SETITEM") else 1], contents)
    return container


def _note_hashed(items: list[_Item], contents: PickleContents) -> None:
    contents.hashed += sum(item.size for item in items)
    if contents.hashed > MOST_HASHED:
        raise LimitExceeded(f"has more than {MOST_HASHED:,} items in mapping keys and sets")


def _apply(name: str, argument: Any, taken: list[_Item], contents: PickleContents) -> _Item:
    """Return the item that an instruction pushes, and record names and texts."""
    size = min(1 + sum(item.size for item in taken), _ENOUGH)
    if name == "REDUCE" and str(taken[0].value).endswith(_HASHING):
        _note_hashed(taken[1:], contents)
    if name in ("GLOBAL", "STACK_GLOBAL", "INST"):
        text = " ".join(str(item.value) for item in taken[-2:]) if name == "STACK_GLOBAL" else str(argument)
        contents.names[text] = None
        return _Item(1, text)
    if name in ("PERSID", "BINPERSID"):
        _note_storage(taken[-1].value if taken else None, contents)
        return _Item()
    if name.startswith("TUPLE"):
        if size > MOST_NESTED:
            raise LimitExceeded(f"has a tuple of more than {MOST_NESTED:,} nested items")
        return _Item(size, tuple(item.value for item in taken) if len(taken) <= 6 else None)
    if isinstance(argument, str):
        contents.texts.add(argument)
    return _Item(size, argument if isinstance(argument, int | str) else None)


def _note_storage(identity: object, contents: PickleContents) -> None:
    """Record the persistent id of a storage: ("storage", class, key, device, number of elements, ...)."""
    match identity:
        case ("storage", str(kind), int() | str() as key, _, int(count), *_):
            item = _ITEM_BYTES.get(kind.split()[-1].removesuffix("Storage"), 1)
            contents.storages[str(key)] = max(count * item, contents.storages.get(str(key), 0))
        case _:
            raise ValueError("a persistent id of an unknown type")
