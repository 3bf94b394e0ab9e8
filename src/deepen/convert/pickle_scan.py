"""A pickle's instructions, counted and not carried out: what they name, and how much they would make."""

import pickletools
from dataclasses import dataclass, field
from typing import IO, Any

MOST_PICKLE = 1 << 22  # bytes of instructions; a thousand layers take a tenth
MOST_NESTED = 10_000  # items of a tuple, those inside counted as often as they are met; an honest one has about 20
MOST_HASHED = 10_000_000  # items of all that becomes a key of a mapping or is put into a set, counted so

_FILLING = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
_HASHING = (" set", " Counter", " OrderedDict")
_ENOUGH = 10**12  # items, above which none is counted
_ITEM_BYTES = {
    "Double": 8, "Long": 8, "ComplexFloat": 8, "ComplexDouble": 16, "Float": 4, "Int": 4, "QInt32": 4,
    "Half": 2, "BFloat16": 2, "Short": 2,
}  # fmt: skip


@dataclass
class Found:
    """What the instructions name: classes and functions, texts, and storages by key, in bytes."""

    names: dict[str, None] = field(default_factory=dict)  # in their order
    texts: set[str] = field(default_factory=set)
    storages: dict[str, int] = field(default_factory=dict)
    hashed: int = 0  # items


@dataclass
class _Item:
    """What lies on the stack: how many items it holds, and what is needed of it later."""

    size: int = 1
    value: Any = None


class Excess(Exception):
    """More than an honest file has."""


def scan(part: IO[bytes], found: Found) -> None:
    """Go through the instructions of one pickle; raises whatever a damaged one makes of it."""
    stack: list[_Item | None] = []  # None is a mark
    memo: dict[int, _Item | None] = {}
    start = None
    for instruction, argument, position in pickletools.genops(part):
        start = position if start is None else start
        if position is not None and start is not None and position - start > MOST_PICKLE:
            raise Excess(f"has more than {MOST_PICKLE:,} bytes of pickle instructions")
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
            stack.append(_filled(name, _taken(stack, instruction), found))
        else:
            taken = _taken(stack, instruction)
            if instruction.stack_after:
                stack.append(_made(name, argument, taken, found))


def _taken(stack: list[_Item | None], instruction: pickletools.OpcodeInfo) -> list[_Item]:
    """What an instruction takes from the stack, in its order."""
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


def _filled(name: str, taken: list[_Item], found: Found) -> _Item:
    """A list, mapping or object with what is put into it, of which a mapping's keys are hashed."""
    container, *items = taken
    container.size = min(container.size + sum(item.size for item in items), _ENOUGH)
    if name.startswith(("SETITEM", "ADDITEM")):
        _note_hashed(items[:: 2 if name.startswith("SETITEM") else 1], found)
    return container


def _note_hashed(items: list[_Item], found: Found) -> None:
    found.hashed += sum(item.size for item in items)
    if found.hashed > MOST_HASHED:
        raise Excess(f"has keys of more than {MOST_HASHED:,} items")


def _made(name: str, argument: Any, taken: list[_Item], found: Found) -> _Item:
    """What an instruction leaves, and note what it names."""
    size = min(1 + sum(item.size for item in taken), _ENOUGH)
    if name == "REDUCE" and str(taken[0].value).endswith(_HASHING):
        _note_hashed(taken[1:], found)
    if name in ("GLOBAL", "STACK_GLOBAL", "INST"):
        text = " ".join(str(item.value) for item in taken[-2:]) if name == "STACK_GLOBAL" else str(argument)
        found.names[text] = None
        return _Item(1, text)
    if name in ("PERSID", "BINPERSID"):
        _note_storage(taken[-1].value if taken else None, found)
        return _Item()
    if name.startswith("TUPLE"):
        if size > MOST_NESTED:
            raise Excess(f"has a tuple of more than {MOST_NESTED:,} items, those inside counted")
        return _Item(size, tuple(item.value for item in taken) if len(taken) <= 6 else None)
    if isinstance(argument, str):
        found.texts.add(argument)
    return _Item(size, argument if isinstance(argument, int | str) else None)


def _note_storage(identity: object, found: Found) -> None:
    """The persistent id of a storage: ("storage", class, key, device, how many numbers, ...)."""
    match identity:
        case ("storage", str(kind), int() | str() as key, _, int(count), *_):
            item = _ITEM_BYTES.get(kind.split()[-1].removesuffix("Storage"), 1)
            found.storages[str(key)] = max(count * item, found.storages.get(str(key), 0))
        case _:
            raise ValueError("a persistent id that is not of a storage")
