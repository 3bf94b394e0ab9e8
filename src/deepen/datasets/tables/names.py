"""Find the images that a table names: by path, or by the end of it if only one image has it."""

import ntpath
import os
import posixpath
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from deepen.core.errors import InputError, quote
from deepen.datasets.archive_names import normalize_nfc
from deepen.datasets.walk import PathParts
from deepen.decoding.formats import find_format_by_name


class ImageNames:
    """The paths of a root's images, to be found by the names in a table."""

    def __init__(self, root: Path, paths: Iterable[PathParts]) -> None:
        self._bases = {os.path.abspath(root), os.path.realpath(root)} if root.is_dir() else set()
        self.paths = set(paths)

    def find(self, name: str, folder: PathParts | None, below: PathParts = ()) -> PathParts:
        """Return the path of the image that a table in `folder` names; only images in the folder `below` count.

        The name is a path from `folder`, or from the root, or the end of the path of only one image; it may lack the
        extension. Backslashes count as slashes. Raises InputError if no image fits, or more than one.
        """
        within = self._relate_to_root(name)
        path = normalize_nfc(_use_slashes(name) if within is None else within)
        starts = [start for start in (folder, ()) if start is not None and (within is None or not start)]
        names = (normalize_nfc(name), path)  # a backslash may be part of a name
        exact = [_normalize("/".join((*start, each))) for start in starts for each in names]
        found = [each for each in exact if each in self.paths and each[: len(below)] == below][:1]
        if not found and within is None:
            found = [each for each in self._find_ends(_normalize(path)) if each[: len(below)] == below]
        if len(found) > 1:
            examples = " and ".join(quote("/".join(each)) for each in sorted(found)[:2])
            raise InputError(f"{name!a} may be {examples}; write the path")
        if not found:
            raise InputError(f"no image {name!a}; {self._suggest(_normalize(path))}")
        return found[0]

    def _relate_to_root(self, name: str) -> str | None:
        """Return an absolute path below the root relative to it; None for other names."""
        return next((name[len(base) + 1 :] for base in self._bases if name.startswith(f"{base}/")), None)

    def _find_ends(self, parts: PathParts) -> list[PathParts]:
        """Return the images whose paths end in these elements, with any extension if the last has none."""
        name, before = parts[-1], parts[:-1]
        found = self._by_name.get(name, [])
        if find_format_by_name(name) is None:
            found = found + self._by_stem.get(name, [])
        return [each for each in found if len(each) >= len(parts) and each[len(each) - len(parts) : -1] == before]

    def _suggest(self, parts: PathParts) -> str:
        if similar := self._by_lower_name.get(parts[-1].lower()):
            return f"did you mean {quote('/'.join(min(similar)))}?"
        return f"add the image or remove the row{self._example}"

    @cached_property
    def _example(self) -> str:
        return f", the images have names such as {quote('/'.join(min(self.paths)))}" if self.paths else ""

    @cached_property
    def _by_name(self) -> dict[str, list[PathParts]]:
        return _group(self.paths, lambda name: name)

    @cached_property
    def _by_stem(self) -> dict[str, list[PathParts]]:
        return _group(self.paths, lambda name: name.rpartition(".")[0])

    @cached_property
    def _by_lower_name(self) -> dict[str, list[PathParts]]:
        return _group(self.paths, str.lower)


def _use_slashes(name: str) -> str:
    """Return a name with slashes for backslashes; raises InputError for an absolute path."""
    path = name.replace("\\", "/")
    if path.startswith("/") or ntpath.splitdrive(path)[0]:
        raise InputError(f"{name!a} is an absolute path elsewhere; write paths that start in the folder of the images")
    return path


def _normalize(path: str) -> PathParts:
    """Return the elements of a path without . and .."""
    return tuple(posixpath.normpath(path).split("/"))


def _group(paths: Iterable[PathParts], key: Callable[[str], str]) -> dict[str, list[PathParts]]:
    """Group paths by a function of the file's name."""
    groups: dict[str, list[PathParts]] = {}
    for path in paths:
        groups.setdefault(key(path[-1]), []).append(path)
    return groups
