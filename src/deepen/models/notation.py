"""Parse and validate the VGG paper's layer notation.

`conv3-256` is a 3x3 convolution with 256 output channels, `conv3-512*6` six in a row, `maxpool` halves height and
width, `fc-1024` is a fully-connected layer (arXiv 1409.1556, table 1). The `head`, a last fully-connected layer with
one output per class, always follows and is not written.

Beyond the paper: a convolution with an even kernel has no padding, so `conv2-24` makes height and width one pixel
smaller. `maxpool3` takes the maximum of 3x3 pixels, three pixels apart. `whiten2-24`, as the first layer, is a frozen
2x2 convolution that whitens the patches of an image (arXiv 2404.00498, section 3.2); `width` does not change it.
"""

import re
from collections.abc import Iterator
from itertools import repeat
from typing import Literal

from deepen.core.errors import InputError

WrittenKind = Literal["conv", "maxpool", "fc", "whiten"]  # layer kinds in the notation

_TOKEN = re.compile(
    r"(?:conv(?P<kernel>[0-9]{1,9})-(?P<channels>[0-9]{1,9})|fc-(?P<units>[0-9]{1,9}))(?:\*(?P<times>[0-9]{1,9}))?"
    r"|maxpool(?P<pool>[0-9]{1,9})?|whiten(?P<side>[23])-(?P<filters>[0-9]{1,9})"
)
_MOST_CHANNELS = 65_536
_MOST_LAYERS = 1_000
_WHITEN_FAULT = "must have a kernel of 2 or 3, an even number of filters and no repeats; write for example whiten2-24"


def find_notation_faults(text: str) -> list[str]:
    """Return the faults of a layer string that depend neither on width nor on image size."""
    tokens = text.split()
    if not tokens:
        return ['layers: "" is empty; write for example "conv3-128 maxpool fc-1024"']
    faults = [
        f'layers[{i}]: "{token[:60]}" {fault}' for i, token in enumerate(tokens) if (fault := _find_token_fault(token))
    ]
    faults += [
        f'layers[{i}]: "{token[:60]}" comes after another layer, but it whitens pixels of images; move it to the front'
        for i, token in enumerate(tokens)
        if i and token.startswith("whiten")
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
    if not 1 <= numbers["kernel"] <= 99:
        return "must have a kernel of 1 to 99; write for example conv3-256"
    if match["pool"] and not 2 <= numbers["pool"] <= 99:
        return "must take 2 to 99 pixels a side; write for example maxpool or maxpool3"
    if match["side"] and (numbers["filters"] % 2 or not numbers["filters"]):
        return _WHITEN_FAULT
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
    if token.startswith("whiten"):
        return _WHITEN_FAULT
    if re.match(r"conv-?[0-9]*$", token):
        return "has no kernel size and channel count; write for example conv3-256"
    if re.fullmatch(r"fc-?", token):
        return "has no number of units; write for example fc-1024"
    return "is an unknown layer; use conv<kernel>-<channels> or fc-<units>, each with an optional *<times>, or maxpool"


def parse_notation(text: str) -> Iterator[tuple[WrittenKind, int, int]]:
    """Yield each layer as (kind, kernel size, unscaled output count), with repeats expanded; raises InputError."""
    if faults := find_notation_faults(text):
        raise InputError(faults)
    for token in text.split():
        match = _TOKEN.fullmatch(token)
        assert match is not None
        layer: tuple[WrittenKind, int, int] = ("maxpool", int(match["pool"] or 2), 0)
        if match["side"]:
            layer = "whiten", int(match["side"]), int(match["filters"])
        elif match["channels"]:
            layer = "conv", int(match["kernel"]), int(match["channels"])
        elif match["units"]:
            layer = "fc", 1, int(match["units"])
        yield from repeat(layer, int(match["times"] or 1))


def find_width_fault(text: str, width: float) -> str | None:
    """Return the fault of a width that leaves a layer without channels; None if it has no fault."""
    narrowest = min(count for kind, _, count in parse_notation(text) if kind not in ("maxpool", "whiten"))
    if round(narrowest * width) >= 1:
        return None
    return f"{width} scales {narrowest} channels in {text!r} to none; use at least {1 / narrowest:.4g}"


def count_weight_layers(text: str) -> int:
    """Return the depth of a network: its convolutions and fully-connected layers, including the head."""
    return 1 + sum(kind != "maxpool" for kind, _, _ in parse_notation(text))
