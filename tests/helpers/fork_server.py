"""Commands of a test's project without the seconds that each takes to import PyTorch and DVC.

A server imports the packages once and forks for each `dvc`, `deepen` and `python -m pipeline.<stage>`. The command is
then a process with its own folder, environment, streams and exit code, and imports this project's code from its folder.
Signals do not reach it: tests that send signals start the real commands.
"""

import ast
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from fork_client import early
from remembered import remember_all

AVAILABLE = sys.platform.startswith("linux")
ROOT = Path(__file__).parents[2]
CODE = re.compile(r"^ +- ((?:pipeline|src)/\S+)$", re.MULTILINE)  # of the stages in dvc.yaml: files and folders
OURS = ("deepen", "pipeline", "study")  # each project has its own
RARE = ("torchvision",)  # takes as long as PyTorch, and only downloads and exports need it
DVC = ("dvc.cli.parser", "dvc.repo.experiments.queue.celery", "dvc.repo.plots", "dvc.utils.hydra", "dvc_task.worker")
END = contextlib.ExitStack()  # to be closed at the end of the tests
PROGRAMS = {"dvc": "dvc.cli", "deepen": "deepen.cli"}  # of each, main()


@functools.cache
def clients(python=sys.executable):
    """Start the server of a Python; return the folder of its commands' clients, to be put first on PATH.

    It needs Linux' pidfd: elsewhere it is None, and the real commands run.
    """
    if not AVAILABLE:
        return None
    home = END.enter_context(tempfile.TemporaryDirectory(prefix="deepen-tests-"))
    address = f"{home}/server"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [python, __file__, address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = END.enter_context(subprocess.Popen(command, env=environment, **pipes))  # ends with its input
    assert server.stdout.readline() == b"ready\n"
    write_clients(Path(home), address, python, environment)
    return home


def write_clients(folder, address, python, environment):
    server = {"address": address, "python": python, "early": early(environment)}
    (folder / "server.json").write_text(json.dumps(server))
    text = f"#!{sys.executable} -SIE\n" + Path(__file__).with_name("fork_client.py").read_text()
    for name in ("python", *PROGRAMS):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def preload():
    """Import the packages that the stages and DVC's commands import, without this project's own."""
    paths = {ROOT / name for name in CODE.findall((ROOT / "dvc.yaml").read_text())}
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])}
    modules = {name for file in files for name in imported(file)}
    for name in sorted(modules | set(DVC)):
        if name.partition(".")[0] not in OURS + RARE:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def imported(path):
    """Yield the modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def serve(address):
    """Fork for each request; return the words of the command in the process that is to run it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            reap()
            if os.fork() == 0:
                listener.close()
                return attend(connection)
            connection.close()
    os._exit(0)


def reap():
    """Wait for ended children, so that their CPU time counts as that of this process."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def attend(connection):
    """Fork for one command and send its exit code; return in the process of the command."""
    _, streams, *_ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("r") as lines:
        request = json.loads(lines.readline())
    child = os.fork()
    if child == 0:
        connection.close()
        return become(streams, **request)
    for stream in (*streams, 1):
        os.close(stream)
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, connection], [], [])[0]:  # who asked is gone
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        connection.send(bytes([os.waitstatus_to_exitcode(status) % 256]))
    os._exit(0)


def become(streams, words, folder, environment):
    """Make this process as one that was started with these streams, folder and environment; return the words."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    first, *rest = words
    sys.orig_argv = [sys.executable, *rest]
    sys.argv = words
    sys.path[0] = folder if first == "python" else os.path.dirname(sys.executable)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.modules.pop("sitecustomize", None)
    with contextlib.suppress(ImportError):
        import sitecustomize  # noqa: F401  # as Python itself does
    return words


def run(name, *words):
    """Run a command; return its exit code."""
    if name == "python":
        import runpy

        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return 0
    return importlib.import_module(PROGRAMS[name]).main()


def finish(*words):
    """Run a command and exit as Python does, without freeing what the server has imported."""
    try:
        code = run(*words)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    preload()
    remember_all(Path(sys.argv[1]).parent)
    gc.freeze()
    finish(*serve(sys.argv[1]))
