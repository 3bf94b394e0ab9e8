"""Parse and validate the VGG paper's layer notation.

`conv3-256` is a 3x3 convolution with 256 output channels, `conv3-512*6` six in a row, `maxpool` halves height and
width, `fc-1024` is a fully-connected layer (arXiv 1409.1556, table 1). The `head`, a last
fully-connected layer with one output per class, always follows and is not written.
"""

import re
from collections.abc import Iterator
from typing import Literal

from deepen.core.errors import InputError

WrittenKind = Literal["conv", "maxpool", "fc"]  # layer kinds in the notation

_TOKEN = re.compile(
    r"(?:conv(?P<kernel>[0-9]{1,9})-(?P<channels>[0-9]{1,9})|fc-(?P<units>[0-9]{1,9}))(?:\*(?P<times>[0-9]{1,9}))?|maxpool"
)
_MOST_CHANNELS = 65_536
_MOST_LAYERS = 1_000


def find_notation_faults(text: str) -> list[str]:
    """Return the faults of a layer string that depend neither on width nor on image size."""
    tokens = text.split()
    if not tokens:
        return ['layers: "" is empty; write for example "conv3-128 maxpool fc-1024"']
    faults = [
        f'layers[{i}]: "{token[:60]}" {fault}' for i, token in enumerate(tokens) if (fault := _find_token_fault(token))
    ]
    if not any(token.startswith("conv") for token in tokens):
        faults.append(f'layers: "{text[:60]}" has no convolution; write for example "conv3-128 maxpool fc-1024"')
    if not faults and (layers := sum(map(_count_repeats, tokens))) > _MOST_LAYERS:
        faults.append(f"layers: has {layers} layers, more than {_MOST_LAYERS}; write fewer")
    first_fc = next((i for i, token in enumerate(tokens) if token.startswith("fc")), len(tokens))
    for i, token in enumerate(tokens):
        if i > first_fc and not token.startswith("fc"):
            faults.append(
                f'layers[{i}]: "{token[:60]}" comes after a fully-connected layer; move it before the first fc'
            )
    return faults


def _find_token_fault(token: str) -> str | None:
    match = _TOKEN.fullmatch(token)
    if match is None:
        return _describe_syntax_error(token)
    numbers = {name: int(digits) for name, digits in match.groupdict(default="1").items()}
    if numbers["kernel"] % 2 == 0:
        return f"has an even kernel; only odd ones keep height and width, write for example conv3-{numbers['channels']}"
    if numbers["kernel"] > 99:
        return "has a kernel above 99; write for example conv3-256"
    if not 1 <= max(numbers["channels"], numbers["units"]) <= _MOST_CHANNELS or 0 in numbers.values():
        return f"counts must be between 1 and {_MOST_CHANNELS}; write for example conv3-256 or fc-1024"
    if numbers["times"] > _MOST_LAYERS:
        return f"repeats more than {_MOST_LAYERS} times; write for example conv3-512*6"
    return None


def _count_repeats(token: str) -> int:
    return int(token.partition("*")[2] or 1)


def _describe_syntax_error(token: str) -> str:
    if re.fullmatch(r"conv[0-9]+-?", token):
        return "has no channel count; write for example conv3-256"
    if re.match(r"conv-?[0-9]*$", token):
        return "has no kernel size and channel count; write for example conv3-256"
    if re.fullmatch(r"fc-?", token):
        return "has no number of units; write for example fc-1024"
    if token.startswith("maxpool"):
        return "takes no number; write maxpool"
    return "is an unknown layer; use conv<kernel>-<channels>, fc-<units>, each with an optional *<times>, or maxpool"


def parse_notation(text: str) -> Iterator[tuple[WrittenKind, int, int]]:
    """Yield each layer as (kind, kernel size, unscaled output count), with repeats expanded; raises InputError."""
    if faults := find_notation_faults(text):
        raise InputError(faults)
    for token in text.split():
        match = _TOKEN.fullmatch(token)
        if match is None or token == "maxpool":
            yield "maxpool", 2, 0
            continue
        kernel, channels, units, times = match.group("kernel", "channels", "units", "times")
        for _ in range(int(times or 1)):
            yield ("conv", int(kernel), int(channels)) if channels else ("fc", 1, int(units))


def find_width_fault(text: str, width: float) -> str | None:
    """Return the fault of a width that leaves a layer without channels; None if it has no fault."""
    narrowest = min(count for kind, _, count in parse_notation(text) if kind != "maxpool")
    if round(narrowest * width) >= 1:
        return None
    return f"{width} scales {narrowest} channels in {text!r} to none; use at least {1 / narrowest:.4g}"


def count_weight_layers(text: str) -> int:
    """Return the depth of a network: its convolutions and fully-connected layers, including the head."""
    return 1 + sum(kind != "maxpool" for kind, _, _ in parse_notation(text))
