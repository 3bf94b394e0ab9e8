"""Check files of torch.save before PyTorch loads them.

`torch.load(weights_only=True)` does not execute code, but a tiny file can make it allocate gigabytes, or hash deeply
nested tuples.
"""

import zipfile
from pathlib import Path
from typing import IO

from deepen.convert.pickle_scan import MOST_PICKLE, LimitExceeded, PickleContents, scan_pickle
from deepen.core.errors import InputError, quote, trim
from deepen.core.wording import describe_cause

SAVE = "save the state dict alone: torch.save(network.state_dict(), file)"

_TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state")
_UNUSUAL_TENSORS = ("_rebuild_sparse_tensor", "_rebuild_meta_tensor_no_storage")  # refused later, by name
_HARMLESS = {
    *(f"torch._utils {name}" for name in (*_TENSORS, *_UNUSUAL_TENSORS)),
    *("torch.nn.parameter Parameter", "torch.serialization _get_layout", "torch Size", "torch device"),
    *("collections OrderedDict", "collections Counter", "_codecs encode"),
    *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in ("set", "complex")),
}
_STARTS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; run git lfs pull",
    b"<": "is a web page, not a file of torch.save; download the file again",
}


def check_pth(path: Path) -> None:
    """Raise InputError unless a file contains only tensors and plain values, no larger than the file.

    Raises OSError if it can't be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64).lstrip()
        for opening, fault in _STARTS.items():
            if start.startswith(opening):
                raise InputError(f"{quote(path)}: {fault}")
        file.seek(0)
        if start.startswith(b"PK"):
            _check_archive(path, file)
        else:
            _check_stream(path, file, size)


def _check_archive(path: Path, file: IO[bytes]) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if any(name.endswith("/constants.pkl") for name in entries):
                raise InputError(f"{quote(path)}: is a TorchScript program, not a state dict; {SAVE}")
            _check_entries(path, archive.infolist())
            pickles = [name for name in entries if name.endswith("/data.pkl")]
            if len(pickles) != 1 or entries[pickles[0]].file_size > MOST_PICKLE:
                raise InputError(f"{quote(path)}: data.pkl is missing or exceeds {MOST_PICKLE:,} bytes; {SAVE}")
            with archive.open(pickles[0]) as part:
                contents = _scan(path, [part])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, error) from error
    folder = pickles[0].removesuffix("data.pkl") + "data/"
    for key, claimed in contents.storages.items():
        held = entries[folder + key].file_size if folder + key in entries else 0
        if claimed > held:
            raise _size_mismatch(path, claimed, held)


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Check that entries are uncompressed and do not overlap, so that together they fit into the file."""
    size, total = path.stat().st_size, sum(entry.file_size for entry in entries)
    if packed := [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]:
        raise InputError(f"{quote(path)}: {quote(packed[0])} is compressed, which torch.save never does; {SAVE}")
    if total > size or len({entry.filename for entry in entries}) < len(entries):
        raise InputError(f"{quote(path)}: its parts overlap: {total:,} bytes in a file of {size:,}; {SAVE}")


def _check_stream(path: Path, file: IO[bytes], size: int) -> None:
    """Check the format before PyTorch 1.6: five pickles, followed by the storages."""
    contents = _scan(path, [file] * 5)
    if (claimed := sum(contents.storages.values())) > size:
        raise _size_mismatch(path, claimed, size)


def _size_mismatch(path: Path, claimed: int, held: int) -> InputError:
    return InputError(f"{quote(path)}: declares a storage of {claimed:,} bytes but contains {held:,}; {SAVE}")


def _damaged(path: Path, error: Exception) -> InputError:
    invalid = isinstance(error, KeyError | IndexError | TypeError)
    reason = "an invalid pickle" if invalid else quote(describe_cause(error))
    fault = f"is damaged, truncated or not written by torch.save ({reason}); download it again, or {SAVE}"
    return InputError(f"{quote(path)}: {fault}")


def _scan(path: Path, parts: list[IO[bytes]]) -> PickleContents:
    contents = PickleContents()
    try:
        for part in parts:
            scan_pickle(part, contents)
    except LimitExceeded as error:
        raise InputError(f"{quote(path)}: {error}; {SAVE}") from error
    except (ValueError, KeyError, IndexError, TypeError, UnicodeError, EOFError) as error:
        _check_names(path, contents)  # a better message, for example for a pickle of another program
        raise _damaged(path, error) from error
    _check_names(path, contents)
    return contents


def _check_names(path: Path, contents: PickleContents) -> None:
    others = [name.replace(" ", ".", 1) for name in contents.names if name not in _HARMLESS and not _is_type(name)]
    if not others:
        return
    whole = any(name.startswith(("torch.nn.", "torch.fx.")) for name in others)
    key = next(
        (key for key in ("state_dict", "model_state_dict", "model", "net") if key in contents.texts), "state_dict"
    )
    wanted = ".state_dict()" if whole else f"[{key!r}]"
    kind = "a whole network as pickled code" if whole else "pickled code besides tensors"
    listed = ", ".join(map(quote, trim(others, 3)))
    raise InputError(
        f"{quote(path)}: contains {kind} ({listed}), which was not run; if you trust it, run "
        f"torch.save(torch.load('{quote(path.name)}', weights_only=False){wanted}, 'state.pth') where that code is "
        "installed, and import state.pth"
    )


def _is_type(name: str) -> bool:
    """Return whether a name is that of a storage or data type: torch FloatStorage, torch float16."""
    module, _, last = name.partition(" ")
    return module in ("torch", "torch.storage") and (
        last.endswith("Storage") or last.startswith(("float", "bfloat", "int", "uint", "bool", "complex", "strided"))
    )
