"""`deepen init`: start a project, or write settings that fit a folder of images."""

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import add_command, parse_path
from deepen.cli.project_folder import is_project
from deepen.cli.table_options import add_table, make_table_choice
from deepen.core.errors import InputError, quote
from deepen.core.names import name_folder, require_writable_name
from deepen.core.shell import quote_path

if TYPE_CHECKING:
    from deepen.datasets.tables.choice import TableChoice
    from deepen.project.survey import Survey

PARAMS, IGNORE = Path("params.yaml"), Path(".gitignore")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "init",
        "start a project, or fit its settings to images",
        "With a new or empty folder: write the files of a project there, as a git and DVC repository. With a folder or "
        "archive of images: write settings that fit them into the project's params.yaml, which keeps its comments, and "
        "print what will run and for how long; the project is started if there is none. A new project overwrites no "
        "file.",
        [
            "deepen init flowers",
            "deepen init photos/",
            "deepen init photos.zip --project flowers",
            "deepen init ../second --new",
        ],
    )
    parser.add_argument(
        "folder", type=parse_path, metavar="FOLDER", help="a new folder, or a folder or archive of images"
    )
    parser.add_argument(
        "--project",
        dest="into",
        type=parse_path,
        metavar="FOLDER",
        help="with images: the project's folder, which may be new (default: this folder)",
    )
    add_table(parser)
    parser.add_argument(
        "--new", action="store_true", help="FOLDER is for a new project; needed in a project, where images are expected"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.cli.init_purpose import ARCHIVES, holds_images, require_new
    from deepen.cli.missing_path import require_path

    folder: Path = options.folder
    require_writable_name("", folder)
    if folder.suffix.lower() in ARCHIVES:
        require_path(folder)
    if holds_images(folder):
        _require_not_new(options)
        _fit_to_images(folder, options.into or Path(), make_table_choice(options))
        return
    if options.labels is not None:
        raise InputError(f"--labels {quote(options.labels)}: only with images, and {quote(folder)} has none; omit it")
    if options.into is not None:
        require_path(folder, "folder or archive")
        raise InputError(f"--project {quote(options.into)}: only with images, and {quote(folder)} has none; omit it")
    require_new(folder, is_said=options.new)
    create_new(folder)


def _require_not_new(options: argparse.Namespace) -> None:
    if options.new:
        raise InputError(f"--new: {quote(options.folder)} has images; omit it, or name a new or empty folder")


def create_new(folder: Path) -> None:
    """Create a project with the default settings."""
    from deepen.project.creation import create_project
    from deepen.project.template import read_template

    create_project(folder, read_template())
    _print_next(folder)


def _fit_to_images(images: Path, project: Path, choice: "TableChoice") -> None:
    """Write settings that fit the images into a project, or create the project."""
    from deepen.cli.init_purpose import require_place
    from deepen.cli.settings_file import lock_settings, read_settings_text, write_settings_text
    from deepen.project.creation import create_project, ignore_more
    from deepen.project.description import describe_images
    from deepen.project.locations import list_ignored
    from deepen.project.survey import survey_images
    from deepen.project.template import read_template

    require_writable_name("--project ", project)
    require_place(project, images)
    survey = survey_images(images, choice)
    _print(describe_images(images, survey), *survey.notes)
    inside, path = list_ignored(images, project), project / PARAMS
    if is_project(project):
        with lock_settings(path):
            text, lines = _fit(read_settings_text(path), images, project, survey)
            write_settings_text(path, text)
        ignore_more(project, inside)
        _print(*lines)
        return
    contents = read_template()
    text, lines = _fit(contents[PARAMS].decode(), images, project, survey)
    contents[PARAMS] = text.encode()
    contents[IGNORE] += "".join(f"{line}\n" for line in inside).encode()
    create_project(project, contents)
    _print(*lines)
    _print_next(project)


def _fit(text: str, images: Path, project: Path, survey: "Survey") -> tuple[str, tuple[str, str]]:
    """Return the text of params.yaml with settings that fit the images, and what changes and what will run."""
    from deepen.config.settings import check_text
    from deepen.project.description import describe_run
    from deepen.project.locations import locate_images
    from deepen.project.settings_text import change_settings, describe_changes
    from deepen.project.suggestion import suggest_settings
    from deepen.project.tables import name_table

    labels = name_table(survey.choice, images, project)
    changes = suggest_settings(check_text(text), locate_images(images, project), survey, labels)
    new = change_settings(text, changes)
    return new, (f"params.yaml: {describe_changes(text, changes)}", describe_run(check_text(new), survey))


def _print_next(project: Path) -> None:
    enter = "" if project == Path() else f"cd {quote_path(project)} && "
    print(f"{name_folder(project)}: a new project; next: {enter}git add --all && git commit -m Start && dvc repro")


def _print(*texts: str) -> None:
    for text in texts:
        print(textwrap.fill(text, 80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
