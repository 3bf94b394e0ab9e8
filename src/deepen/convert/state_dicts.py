"""State dicts as training scripts leave them: wrapped, prefixed, of any precision -> tensors by name."""

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
from deepen.core.counts import counted
from deepen.core.errors import InputError, plain, some

_DEEPEST = 3  # of mappings in mappings in which a state dict is looked for
_TORCHVISIONS = ("features.", "classifier.")
_AVERAGED = "n_averaged"  # beside the tensors of torch.optim.swa_utils.AveragedModel: how often


@dataclass(frozen=True)
class StateDict:
    """Tensors by name in the file's order, what `deepen export` wrote besides, and what was done to get at them.

    `ordered` says whether the file's order is that of the network's: a safetensors file is sorted.
    """

    tensors: dict[str, Tensor]
    exported: Exported | None
    notes: Sequence[str]
    ordered: bool


def read_state(path: Path, key: str | None = None) -> StateDict:
    """The state dict of a .safetensors file or of what torch.save wrote, where `key` names it or it is the only one.

    Nothing in the file is run. Raises InputError where it can't be read, or has not exactly one state dict.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{plain(path)}: is a device or a pipe; name a file")
    ordered = path.suffix.lower() != ".safetensors"
    try:
        found, text = (_pickled(path), None) if ordered else _safetensors(path)
        exported = Exported.model_validate_json(text) if text else None
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{plain(path)}: can't be read ({error.strerror or error}); name a file that can be"
        ) from error
    except ValidationError as error:
        raise InputError(f"{plain(path)}: its metadata is not what deepen export writes; export it again") from error
    except pickle.UnpicklingError as error:  # whose advice is to run what the file holds
        raise InputError(f"{plain(path)}: holds what torch.load(weights_only=True) refuses; {SAVE}") from error
    except Exception as error:  # the readers fail on a stranger's file in any way
        reason = plain(" ".join(str(error).split()))[:200] or type(error).__name__
        raise InputError(f"{plain(path)}: is damaged ({reason}); {SAVE}") from error
    try:
        tensors, notes = _chosen(found, key)
        _must_be_held(tensors, path.stat().st_size)
    except InputError as error:
        raise InputError([f"{plain(path)}: {fault}" for fault in error.faults]) from error
    return StateDict(tensors, exported, notes, ordered)


def _safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, (file.metadata() or {}).get(METADATA)  # noqa: SIM118


def _pickled(path: Path) -> Any:
    check_pth(path)
    with warnings.catch_warnings(action="ignore"):  # of sparse tensors, which are refused later
        return torch.load(path, weights_only=True, map_location="cpu")


def _chosen(found: object, key: str | None) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict in what a file holds, and a note where it was inside something."""
    if not isinstance(found, Mapping):
        raise InputError(f"holds a {type(found).__name__}, not tensors by name; {SAVE}")
    inside = {"": found} if _is_state(found) else dict(_state_dicts(found))
    listed = ", ".join(map(plain, some([where for where in inside if where], 5)))
    if key is not None and key not in inside:
        raise InputError(f"--key {plain(key)}: has no state dict; it has {listed or 'one on top: leave out --key'}")
    if key is None and len(inside) > 1:
        raise InputError(
            f"holds {len(inside)} state dicts: {listed}; say which, for example --key {next(iter(inside))}"
        )
    if not inside:
        values = ", ".join(map(plain, some(list(map(str, map(_short, found))), 5))) or "nothing"
        raise InputError(f"holds {values}, and no state dict, which has tensors alone; {SAVE}")
    where = key if key is not None else next(iter(inside))
    state = dict(inside[where])
    notes = [f"its state dict is under {plain(where)}"] if where else []
    if state.pop(_AVERAGED, None) is not None:
        notes.append(f"{_AVERAGED}, how often it was averaged, was left out")
    return state, notes


def _short(key: object) -> str:
    return key if isinstance(key, str) else type(key).__name__  # a number, or a tuple of any size


def _is_state(found: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(value, Tensor) for key, value in found.items())


def _state_dicts(found: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Each state dict inside, once, as (dotted path, tensors): mappings of tensors alone, a weight among them."""
    seen: set[int] = set()
    level: list[tuple[str, Mapping[Any, Any]]] = [("", found)]
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


def _must_be_held(tensors: Mapping[str, Tensor], size: int) -> None:
    """Raise InputError where tensors have more numbers than the file: as views that repeat them."""
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values() if not tensor.is_meta)
    if claimed > size:
        raise InputError(f"its tensors have {claimed:,} bytes, more than the file's {size:,}: they repeat some; {SAVE}")


def without_prefix(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors under torchvision's names, without what is before these, as `module.` of DataParallel; a note of that."""
    prefix, state = "", dict(tensors)
    while state and not any(key.startswith(_TORCHVISIONS) for key in state):
        part, dot, _ = next(iter(state)).partition(".")
        if not dot or not all(key.startswith(f"{part}.") for key in state):
            return dict(tensors), []
        prefix += f"{part}."
        state = {key.removeprefix(f"{part}."): tensor for key, tensor in state.items()}
    return state, [f"its names begin with {plain(prefix)}, which was left out"] if prefix else []


def value_fault(key: str, tensor: Tensor) -> str | None:
    """Why a tensor can't be weights; None where it can."""
    if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_meta:
        return f"{plain(key)} is {tensor.dtype}, {tensor.layout}, on {tensor.device}, not plain numbers"
    if not tensor.to(torch.float32).isfinite().all():
        return f"{plain(key)} holds values that are not finite"
    return None


def precision_notes(tensors: Mapping[str, Tensor]) -> list[str]:
    """What becomes of tensors that are not float32."""
    counts: dict[str, int] = {}
    for tensor in tensors.values():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            counts[str(tensor.dtype)] = counts.get(str(tensor.dtype), 0) + 1
    return [f"{counted(count, 'tensor')} of {dtype}, converted to torch.float32" for dtype, count in counts.items()]
