"""What torch.save wrote, checked before PyTorch reads it.

`torch.load(weights_only=True)` runs no code of a file, but a file of some bytes can have it allocate gigabytes, or hash
tuples that hold each other many times over.
"""

import zipfile
from pathlib import Path
from typing import IO

from deepen.convert.pickle_scan import MOST_PICKLE, Excess, Found, scan
from deepen.core.errors import InputError, plain, some

SAVE = "save the state dict alone: torch.save(network.state_dict(), file)"

_TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state")
_UNUSUAL_TENSORS = ("_rebuild_sparse_tensor", "_rebuild_meta_tensor_no_storage")  # refused by name later
_HARMLESS = {
    *(f"torch._utils {name}" for name in (*_TENSORS, *_UNUSUAL_TENSORS)),
    *("torch.nn.parameter Parameter", "torch.serialization _get_layout", "torch Size", "torch device"),
    *("collections OrderedDict", "collections Counter", "_codecs encode"),
    *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in ("set", "complex")),
}
_STARTS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; fetch that: git lfs pull",
    b"<": "is a web page, not what torch.save wrote; download the file again",
}


def check_pth(path: Path) -> None:
    """Raise InputError unless a file holds tensors and plain values alone, and no more of them than it has bytes.

    Raises OSError where it can't be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64).lstrip()
        for opening, fault in _STARTS.items():
            if start.startswith(opening):
                raise InputError(f"{plain(path)}: {fault}")
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
                raise InputError(f"{plain(path)}: is a TorchScript program, not a state dict; {SAVE}")
            _check_entries(path, archive.infolist())
            pickles = [name for name in entries if name.endswith("/data.pkl")]
            if len(pickles) != 1 or entries[pickles[0]].file_size > MOST_PICKLE:
                raise InputError(f"{plain(path)}: has no data.pkl of at most {MOST_PICKLE:,} bytes; {SAVE}")
            with archive.open(pickles[0]) as part:
                found = _scanned(path, [part])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, error) from error
    folder = pickles[0].removesuffix("data.pkl") + "data/"
    for key, claimed in found.storages.items():
        held = entries[folder + key].file_size if folder + key in entries else 0
        if claimed > held:
            raise _claims(path, claimed, held)


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """torch.save compresses nothing, so the parts are together no larger than the file."""
    size, total = path.stat().st_size, sum(entry.file_size for entry in entries)
    if packed := [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]:
        raise InputError(f"{plain(path)}: {plain(packed[0])} is compressed, which torch.save never does; {SAVE}")
    if total > size or len({entry.filename for entry in entries}) < len(entries):
        raise InputError(f"{plain(path)}: its parts overlap: {total:,} bytes in a file of {size:,}; {SAVE}")


def _check_stream(path: Path, file: IO[bytes], size: int) -> None:
    """The form before PyTorch 1.6: five pickles, and then the storages."""
    found = _scanned(path, [file] * 5)
    if (claimed := sum(found.storages.values())) > size:
        raise _claims(path, claimed, size)


def _claims(path: Path, claimed: int, held: int) -> InputError:
    return InputError(f"{plain(path)}: claims a storage of {claimed:,} bytes and has {held:,} for it; {SAVE}")


def _damaged(path: Path, error: Exception) -> InputError:
    reason = plain(" ".join(str(error).split()))[:200] or type(error).__name__
    fault = f"is damaged, cut off or not written by torch.save ({reason}); get it again, or {SAVE}"
    return InputError(f"{plain(path)}: {fault}")


def _scanned(path: Path, parts: list[IO[bytes]]) -> Found:
    found = Found()
    try:
        for part in parts:
            scan(part, found)
    except Excess as error:
        raise InputError(f"{plain(path)}: {error}; {SAVE}") from error
    except (ValueError, KeyError, IndexError, TypeError, UnicodeError, EOFError) as error:
        _check_names(path, found)  # tells more, as of a pickle by another program
        raise _damaged(path, error) from error
    _check_names(path, found)
    return found


def _check_names(path: Path, found: Found) -> None:
    others = [name.replace(" ", ".", 1) for name in found.names if name not in _HARMLESS and not _is_type(name)]
    if not others:
        return
    whole = any(name.startswith(("torch.nn.", "torch.fx.")) for name in others)
    key = next((key for key in ("state_dict", "model_state_dict", "model", "net") if key in found.texts), "state_dict")
    wanted = ".state_dict()" if whole else f"[{key!r}]"
    what = "a whole network as pickled code" if whole else "pickled code beside tensors"
    listed = ", ".join(map(plain, some(others, 3)))
    raise InputError(
        f"{plain(path)}: holds {what} ({listed}), and none of it was run; where you trust it, run "
        f"torch.save(torch.load('{plain(path.name)}', weights_only=False){wanted}, 'state.pth') where that code is "
        "installed, and import state.pth"
    )


def _is_type(name: str) -> bool:
    """Whether a name is that of a storage or of a type of numbers: torch FloatStorage, torch float16."""
    module, _, last = name.partition(" ")
    return module in ("torch", "torch.storage") and (
        last.endswith("Storage") or last.startswith(("float", "bfloat", "int", "uint", "bool", "complex", "strided"))
    )
