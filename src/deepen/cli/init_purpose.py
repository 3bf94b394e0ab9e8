"""Tell a folder of images from one for a new project; where both are possible, the error has both remedies."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from deepen.cli.missing_path import find_similar_paths
from deepen.cli.project_folder import find_project_above, is_project
from deepen.core.errors import InputError, quote, trim
from deepen.core.names import name_folder
from deepen.core.shell import quote_path
from deepen.datasets.clutter import is_clutter
from deepen.datasets.files import is_folder, read_file
from deepen.datasets.layout import locate
from deepen.datasets.walk import READABLE, Walk
from deepen.decoding.formats import HEAD_BYTES, find_format_by_head, find_format_by_name

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2")
_SPREADSHEETS = (".xlsx", ".xls", ".ods")
_BESIDE = ("readme", "license", "licence")  # what a new repository may have


def holds_images(folder: Path) -> bool:
    """Return whether a path is a folder or archive of images; False if it is a place for a new project.

    An archive is a file. A folder of images has some, at any depth. A place for a new project is missing, empty, or a
    git repository without images. Raises InputError, with a remedy for either purpose, if it is neither or both.
    """
    if not folder.exists():
        return False
    if not is_folder(folder):
        _require_archive(folder)
        return True
    if is_project(folder):
        raise InputError(
            f"{name_folder(folder)}: is a Deepen project; for settings that fit images write deepen init "
            f"IMAGES --project {quote_path(folder)}, for a new project name another folder"
        )
    is_repository = (folder / ".git").exists()
    example = _find_image(folder)
    if example and is_repository and not _has_train(folder):
        raise InputError(
            f"{name_folder(folder)}: is a git repository with images, such as {example}; for a new project "
            "name a new folder in it, for settings that fit images name the folder that contains train"
        )
    others = [] if is_repository or example else list_content(folder)
    if others:
        raise InputError(
            f"{name_folder(folder)}: contains {', '.join(trim(others, 3))} but no images; for a new project name "
            "a new or empty folder, or run git init there first; for settings that fit images name a folder of images"
        )
    return example is not None


def _require_archive(path: Path) -> None:
    """Raise InputError for a file that is not an archive, such as a table or an image."""
    rule = "and FOLDER must be the folder or archive of the images"
    suffix = path.suffix.lower()
    if suffix in (*READABLE, *_SPREADSHEETS):
        save = "save it as CSV and " if suffix in _SPREADSHEETS else ""
        table = quote_path(path.with_suffix(".csv") if save else path)
        raise InputError(f"{quote(path)}: is a table, {rule}; {save}write deepen init FOLDER --labels {table}")
    if find_format_by_name(path.name) or find_format_by_head(read_file(path, HEAD_BYTES)):
        folder = quote_path(path.parent)
        raise InputError(
            f"{quote(path)}: is an image, {rule}; write deepen init {folder}, or the folder around it that contains "
            "train or the class folders"
        )
    next(iter(Walk(path)), None)  # raises InputError for an invalid archive


def require_new(folder: Path, *, is_said: bool) -> None:
    """Raise InputError if a folder without images may be meant as one with images, or is inside another project.

    That is unclear in a project, and where images have a similar name, unless the option --new has said it.
    """
    near = None if folder.exists() else _find_similar_images(folder)
    above = find_project_above(folder)
    if above is None and (is_said or (near is None and _find_project_here() is None)):
        return
    state = "no such folder" if not folder.exists() else "has no images" if list_content(folder) else "is empty"
    where = f", inside the Deepen project {quote(above)}" if above else ""
    shown = near and quote(near)
    images = f"the images of {shown} write deepen init {quote_path(near)}" if near else "images name their folder"
    new = f"name a folder outside of {quote(above)}" if above else "add --new"
    raise InputError(f"{name_folder(folder)}: {state}{where}; for settings that fit {images}, for a new project {new}")


def _find_project_here() -> Path | None:
    """Return the project that the command runs in; None outside of all."""
    return Path() if is_project(Path()) else find_project_above(Path())


def _find_similar_images(folder: Path) -> Path | None:
    """Return what has images under a name similar to that of a missing folder; None if there is nothing."""
    for near in find_similar_paths(folder):
        with suppress(InputError):  # neither a folder nor an archive
            if _find_image(near) if is_folder(near) else near.suffix.lower() in ARCHIVES:
                return near
    return None


def require_place(project: Path, images: Path) -> None:
    """Raise InputError unless the project for these images can be in a folder: an existing one, or a new one.

    Beside the images, the folder of a new one may contain nothing, unless it is a git repository.
    """
    if images.resolve() in (project.resolve(), *project.resolve().parents):
        raise InputError(
            f"{name_folder(images)}: contains images, and the project would be inside; name the folder in it "
            "that contains train, or add --project NEW, a new folder elsewhere"
        )
    if is_project(project):
        return
    where = name_folder(project)
    if above := find_project_above(project):
        raise InputError(f"{where}: is inside the Deepen project {quote(above)}; add --project {quote_path(above)}")
    others = [] if (project / ".git").exists() else list_content(project, but=images)
    if others:
        raise InputError(
            f"{where}: contains {', '.join(trim(others, 3))} and is not a Deepen project; for a new project add "
            "--project NEW, a new folder; for a project that exists, add --project and its folder"
        )


def list_content(folder: Path, but: Path | None = None) -> list[str]:
    """Return the names in a folder, if any, without hidden ones, what a new repository has, and the way to `but`."""
    entries: Iterable[Path] = sorted(folder.iterdir()) if folder.is_dir() else ()
    way = (but.resolve(), *but.resolve().parents) if but else ()
    names = [entry.name for entry in entries if entry.resolve() not in way]
    return [quote(name) for name in names if not (name.startswith(".") or is_clutter(name) or _is_beside(name))]


def _is_beside(name: str) -> bool:
    return name.lower().partition(".")[0] in _BESIDE


def _find_image(folder: Path) -> str | None:
    return next((quote(entry.path) for entry in Walk(folder) if entry.read), None)


def _has_train(folder: Path) -> bool:
    """Return whether a folder has images in train/<class>/."""
    places = (locate(entry.parts, len(entry.parts) - 1) for entry in Walk(folder) if entry.read)
    return any(place and place.part == "train" and len(place.below) > 1 for place in places)
