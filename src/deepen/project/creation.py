"""Create a project: write its files into a folder, all or none, and make the folder a git repository."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from deepen.core.errors import InputError, quote, trim
from deepen.core.files import make_temporary_folder, make_write_error, write_text
from deepen.core.names import name_folder
from deepen.project.ignored import add_lines

_IGNORE = ".gitignore"  # lines are added to one that exists


def create_project(folder: Path, contents: Mapping[Path, bytes]) -> None:
    """Write the files of a new project, and make its folder a git repository unless it is part of one.

    Missing folders are created. Raises InputError, and leaves nothing behind, if git is missing, a file can't be
    written, or one of the files exists, except .gitignore.
    """
    if shutil.which("git") is None:
        raise InputError("git: not available, and DVC needs it; install it")
    _require_new(folder, contents)
    is_own_repository = not _is_in_repository(folder)
    exists = folder.exists()
    beside = folder / "params.yaml" if exists else folder
    with _remove_new_parents(folder), _reraise(folder), make_temporary_folder(beside) as temporary:
        made = temporary / "project"  # with the usual permissions, unlike the temporary folder
        _write(made, contents)
        if is_own_repository:
            _initialize_repository(made)
        if exists:
            _merge(made, folder)
        else:
            os.rename(made, folder)


def _require_new(folder: Path, contents: Iterable[Path]) -> None:
    """Raise InputError for each file or folder of a new project that exists, other than .gitignore."""
    names = dict.fromkeys(path.parts[0] for path in contents)
    taken = [quote(name) for name in names if name != _IGNORE and os.path.lexists(folder / name)]
    if taken:
        raise InputError(
            f"{name_folder(folder)}: contains {', '.join(trim(taken))}, which a new project would overwrite; "
            "move them away, or name another folder"
        )


def _is_in_repository(folder: Path) -> bool:
    """Return whether a folder, which may be missing, belongs to a git repository that does not ignore it."""
    existing = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    inside = _run_git(existing, "rev-parse", "--is-inside-work-tree")
    if inside.returncode or inside.stdout.strip() != "true":
        return False
    return _run_git(existing, "check-ignore", "--quiet", str(folder.absolute())).returncode != 0


def _initialize_repository(folder: Path) -> None:
    process = _run_git(folder, "init", "--quiet")
    if process.returncode:
        raise InputError(f"git init: failed ({' '.join(process.stderr.split())}); make git init work, and run it again")


def _run_git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, errors="replace")


def _write(folder: Path, contents: Mapping[Path, bytes]) -> None:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _merge(made: Path, folder: Path) -> None:
    """Move everything in a folder to another one, all or none."""
    with ExitStack() as undo:
        for path in sorted(made.iterdir()):
            if path.name == _IGNORE and (folder / _IGNORE).exists():
                continue
            undo.callback(_move_back, folder / path.name, path)
            os.rename(path, folder / path.name)
        ignore_more(folder, (made / _IGNORE).read_text().splitlines() if (made / _IGNORE).exists() else ())
        undo.pop_all()


def _move_back(moved: Path, path: Path) -> None:
    if not os.path.lexists(path):
        os.rename(moved, path)


def ignore_more(folder: Path, lines: Iterable[str]) -> None:
    """Add the lines to a folder's .gitignore that it lacks."""
    path = folder / _IGNORE
    text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    if (new := add_lines(text, lines)) != text:
        write_text(path, new)


@contextmanager
def _remove_new_parents(folder: Path) -> Iterator[None]:
    """Remove the folders around a new one that an error leaves empty."""
    missing = [each for each in folder.absolute().parents if not each.exists()]
    try:
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def _reraise(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise make_write_error(folder, error) from error
