"""A clone of this project with a tiny ladder, in which DVC runs."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fork_server

ROOT = Path(__file__).parents[2]
LADDER = [f"{stage}@{model}" for model in ("I", "II", "III") for stage in ("transfer", "train")]
ALWAYS = ("scan", "collect")  # stages that run each time
EVALUATIONS = ["evaluate@I", "evaluate@II", "evaluate@III"]


class Project:
    """A folder and the environment of its commands, without the user's own configuration.

    Commands run in forks of a process that has PyTorch and DVC loaded; those of `start` and of a `real` project do not.
    Stages and `deepen` run in the environment of `python`.
    """

    def __init__(self, path: Path, home: Path, real: bool = False, python: str = sys.executable):
        self.path = path
        folders = dict.fromkeys(str(Path(name).parent) for name in (python, sys.executable))
        self.real_path = os.pathsep.join([*folders, os.environ["PATH"]])
        clients = None if real else fork_server.clients(python)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_", "MAKE"))}
        self.env.update(
            PATH=f"{clients}{os.pathsep}{self.real_path}" if clients else self.real_path,
            HOME=str(home),
            DVC_NO_ANALYTICS="1",
            DVC_GLOBAL_CONFIG_DIR=str(home / "global"),
            DVC_SYSTEM_CONFIG_DIR=str(home / "system"),
            DVC_SITE_CACHE_DIR=str(home / "site"),
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_CONFIG_NOSYSTEM="1",
            **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        )

    def __call__(self, command: str, *words: str, ok: bool | None = True) -> str:
        """Return what a command prints; its exit code must be 0 if `ok`, another if not, and may be any if None."""
        done = self.run(command, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert ok in (None, done.returncode == 0), done.stdout
        return done.stdout

    def run(self, command: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; return its exit code and output."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": self.env, **options}
        return subprocess.run([*command.split(), *words], cwd=self.path, text=True, **options)

    def start(self, command: str, *words: str, real: bool = True) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, to be killed as a whole; what it prints goes to output.txt."""
        with (self.path.parent / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [*command.split(), *words],
                cwd=self.path,
                env={**self.env, "PATH": self.real_path} if real else self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which test runners may ignore
            )

    @property
    def output(self) -> str:
        return (self.path.parent / "output.txt").read_text()

    def trainers(self) -> list[int]:
        """Return the processes that train a model, from their locks."""
        found = []
        for lock in (self.path / "checkpoints").glob("*.lock"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if written := re.match(r"process (\d+) on", lock.read_text()):
                    os.kill(int(written[1]), 0)
                    found.append(int(written[1]))
        return found

    def trainer(self, seconds: float = 60) -> int:
        """Wait for a process that trains a model, and return it."""
        end = time.monotonic() + seconds
        while not (found := self.trainers()):
            if time.monotonic() > end:
                raise TimeoutError(self.output)
            time.sleep(0.01)
        return found[0]

    def ran(self, command: str, *words: str) -> list[str]:
        """Run a command; return the stages that it executed, in order, without those that run each time."""
        return self.stages(self(command, *words))

    @staticmethod
    def stages(said: str) -> list[str]:
        """Return the stages that DVC reports to have run."""
        stages = re.findall(r"^Running stage '(.*)':", said, re.MULTILINE)
        return [stage for stage in stages if stage not in ALWAYS]

    def is_up_to_date(self) -> bool:
        """Return whether DVC would run nothing but what runs each time."""
        return sorted(self("dvc status").splitlines()) == sorted(
            f"{line}" for name in ALWAYS for line in (f"{name}:", "\talways changed")
        )

    def experiment(self, name: str) -> str:
        """Return the git reference of an experiment."""
        (found,) = re.findall(rf"^refs/exps/\S*/{name}$", self("git for-each-ref --format=%(refname)"), re.MULTILINE)
        return str(found)

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        text = self.read(name)
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (self.path / name).write_text(text)

    def files(self) -> dict[str, bytes]:
        """Return the contents of all files that the stages write, by name."""
        folders = ("data", "weights", "curves", "live", "records", "predictions", "metrics", "reports", "transfers")
        paths = [path for folder in folders for path in (self.path / folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.path)): path.read_bytes() for path in paths}

    def copy(self, path: Path) -> "Project":
        shutil.copytree(self.path, path / "project", symlinks=True)
        return Project(path / "project", path)


def tiny_project(home: Path, real: bool = False) -> Project:
    """Commit this working tree as a new project in `home`, with networks 1/32 as wide, trained for one epoch each."""
    project = Project(home / "project", home, real)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "metrics/")) and Path(name).name != "dvc.lock":
            (project.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project.path / name)
    project.edit(
        "params.yaml",
        ("width: auto ", "width: 0.03125 "),
        ("threads: auto ", "threads: 1 "),
        ("epochs: auto\n", "epochs: 1\n"),
    )
    project("git init -q")
    project("git add -A")
    project("git commit -qm start")
    return project
