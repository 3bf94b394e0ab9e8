"""The `deepen` command line: one module per command, beside `dvc repro`.

It imports only what takes no time, so that Ctrl-C is handled before anything else is imported.
"""

import sys

from deepen.core.ctrl_c import ExitAtCtrlC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: "Sequence[str] | None" = None) -> None:
    """Run the command given by `arguments`, by default the process's arguments; raises SystemExit on any error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with ExitAtCtrlC():
        from deepen.core.entry_point import run_program

        run_program(lambda: _run(words), debug="--debug" in words)


def _run(arguments: "Sequence[str]") -> None:
    # imported here, so that Ctrl-C during the imports prints one line too
    from deepen.cli.parser import parse_arguments
    from deepen.cli.project_folder import require_project

    options = parse_arguments(arguments)
    if "project" in options:
        require_project(options.project)
    options.run(options)
