"""Read state dicts of training scripts: nested in checkpoints, with prefixes, and in any precision."""

import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open
from torch import Tensor

from deepen.convert.pth_check import SAVE, check_pth
from deepen.convert.torchvision_names import METADATA, Exported
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote, trim
from deepen.core.regular_files import require_regular
from deepen.core.shell import quote_word
from deepen.core.wording import describe_cause

_DEEPEST = 3  # levels of nested mappings that are searched for a state dict
_TORCHVISION_PREFIXES = ("features.", "classifier.")
_AVERAGED = "n_averaged"  # a count that torch.optim.swa_utils.AveragedModel adds


@dataclass(frozen=True)
class StateDict:
    """Tensors by name in the file's order, the metadata of `deepen export`, and notes on how they were read.

    `ordered` is False if the file does not keep the order of the network: safetensors files are sorted.
    """

    tensors: dict[str, Tensor]
    exported: Exported | None
    notes: Sequence[str]
    ordered: bool


def read_state(path: Path, key: str | None = None) -> StateDict:
    """Read the state dict of a .safetensors or torch.save file; `key` selects one of several.

    No code in the file is executed. Raises InputError if it can't be read, or does not have exactly one state dict.
    """
    require_regular(path, "name a .safetensors file or one of torch.save")
    ordered = path.suffix.lower() != ".safetensors"
    try:
        content, text = (_load_pickle(path), None) if ordered else _load_safetensors(path)
        exported = Exported.model_validate_json(text) if text else None
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{quote(path)}: can't be read ({error.strerror or error}); name a readable file") from error
    except ValidationError as error:
        raise InputError(f"{quote(path)}: invalid metadata of deepen export; export it again") from error
    except pickle.UnpicklingError as error:  # its message suggests to run the code in the file
        raise InputError(f"{quote(path)}: torch.load(weights_only=True) can't load it; {SAVE}") from error
    except Exception as error:  # the readers raise anything on a damaged file
        raise InputError(f"{quote(path)}: is damaged ({quote(describe_cause(error))}); {SAVE}") from error
    try:
        tensors, notes = _choose_state(content, key)
        _check_size(tensors, path.stat().st_size)
    except InputError as error:
        raise InputError([f"{quote(path)}: {fault}" for fault in error.faults]) from error
    return StateDict(tensors, exported, notes, ordered)


def _load_safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, (file.metadata() or {}).get(METADATA)  # noqa: SIM118


def _load_pickle(path: Path) -> Any:
    check_pth(path)
    with warnings.catch_warnings(action="ignore"):  # about sparse tensors, which are refused later
        return torch.load(path, weights_only=True, map_location="cpu")


def _choose_state(content: object, key: str | None) -> tuple[dict[str, Tensor], list[str]]:
    """Select the state dict in the content of a file; return it and notes."""
    if not isinstance(content, Mapping):
        raise InputError(f"contains a {type(content).__name__}, not a state dict; {SAVE}")
    inside = {"": content} if _is_state(content) else dict(_find_state_dicts(content))
    listed = ", ".join(map(quote, trim([where for where in inside if where], 5)))
    if key is not None and key not in inside:
        raise InputError(f"--key {quote(key)}: no such state dict; use {listed or 'the whole file: omit --key'}")
    if key is None and len(inside) > 1:
        example = f"--key {quote_word(next(iter(inside)))}"
        raise InputError(f"contains {len(inside)} state dicts: {listed}; choose one, for example {example}")
    if not inside:
        values = ", ".join(map(quote, trim(list(map(str, map(_describe_key, content))), 5))) or "nothing"
        raise InputError(f"contains {values}, but no state dict (a mapping of tensors only); {SAVE}")
    where = key if key is not None else next(iter(inside))
    state = dict(inside[where])
    notes = [f"its state dict is under {quote(where)}"] if where else []
    if state.pop(_AVERAGED, None) is not None:
        notes.append(f"{_AVERAGED}, the number of averaged models, was ignored")
    return state, notes


def _describe_key(key: object) -> str:
    return key if isinstance(key, str) else type(key).__name__  # a number, or a tuple of any size


def _is_state(content: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())


def _find_state_dicts(content: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Yield each nested state dict once, as (dotted path, tensors): a mapping of tensors only, with a weight."""
    seen: set[int] = set()
    level: list[tuple[str, Mapping[Any, Any]]] = [("", content)]
    for _ in range(_DEEPEST):
        below = []
        for where, mapping in level:
            for key, value in mapping.items():
                if isinstance(key, str) and isinstance(value, Mapping) and id(value) not in seen:
                    seen.add(id(value))
                    below.append((f"{where}.{key}" if where else key, value))
        for where, mapping in below:
            if _is_state(mapping) and any(key.endswith("weight") for key in mapping):
                yield where, mapping
        level = below


def _check_size(tensors: Mapping[str, Tensor], size: int) -> None:
    """Raise InputError if tensors have more bytes than the file, as views with repeated elements can."""
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values() if not tensor.is_meta)
    if claimed > size:
        raise InputError(
            f"its tensors have {claimed:,} bytes, more than the file's {size:,}, as some are repeated views; {SAVE}"
        )


def without_prefix(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Remove a prefix of torchvision's names, such as `module.` of DataParallel; return tensors and notes."""
    prefix, state = "", dict(tensors)
    while state and not any(key.startswith(_TORCHVISION_PREFIXES) for key in state):
        part, dot, _ = next(iter(state)).partition(".")
        if not dot or not all(key.startswith(f"{part}.") for key in state):
            return dict(tensors), []
        prefix += f"{part}."
        state = {key.removeprefix(f"{part}."): tensor for key, tensor in state.items()}
    return state, [f"the prefix {quote(prefix)} of its names was removed"] if prefix else []


def value_fault(key: str, tensor: Tensor) -> str | None:
    """Return why a tensor can't be weights; None if it can."""
    if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_meta:
        return f"{quote(key)} is {tensor.dtype}, {tensor.layout}, on {tensor.device}, not a dense floating-point tensor"
    if not tensor.to(torch.float32).isfinite().all():
        return f"{quote(key)} contains NaN or infinite values"
    return None


def precision_notes(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return notes on tensors that are converted to float32."""
    counts: dict[str, int] = {}
    for tensor in tensors.values():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            counts[str(tensor.dtype)] = counts.get(str(tensor.dtype), 0) + 1
    return [f"{pluralize(count, 'tensor')} of {dtype}, converted to torch.float32" for dtype, count in counts.items()]
