"""The record of a GPU check: written after every row, as JSON and as Markdown, so that a stop loses nothing."""

import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from benchmarks.gpu.bench import ROOT
from benchmarks.gpu.sections import Row
from benchmarks.measure import describe_machine
from deepen.core.files import make_write_error, write_json, write_text


class Record:
    """Tables by section, with the machine and versions, in the files `gpu.json` and `gpu.md` of a folder.

    Files that are there already stay until a row is measured. Raises InputError if the folder can't be made.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise make_write_error(folder, error) from error
        self.json, self.markdown = folder / "gpu.json", folder / "gpu.md"
        self.is_written = not self.json.exists()
        self._begin = time.monotonic()
        self._content: dict[str, Any] = {
            "machine": describe_machine() | describe_card(),
            "commit": describe_commit(),
            "settings": settings,
            "seconds": 0.0,
            "complete": False,
            "sections": {},
        }

    @property
    def faults(self) -> list[str]:
        """The sections that failed, each with its fault."""
        return [
            f"{name}: {section['fault']}" for name, section in self._content["sections"].items() if section["fault"]
        ]

    def begin(self, name: str) -> None:
        """Begin a section, which counts as stopped until it ends."""
        self._content["sections"][name] = {"seconds": 0.0, "fault": "stopped before its end", "rows": []}
        self._started = time.monotonic()
        self._write()

    def add(self, name: str, row: Row) -> None:
        """Add a row to a section."""
        self.is_written = True
        self._content["sections"][name]["rows"].append(row)
        self._write()

    def end(self, name: str, fault: str) -> None:
        """End a section, with its fault or an empty text, and print it."""
        section = self._content["sections"][name]
        section["fault"], section["seconds"] = fault, round(time.monotonic() - self._started, 1)
        self._write()
        print(format_section(name, section), flush=True)

    def set(self, **settings: Any) -> None:
        """Add settings that are known only after the start."""
        self._content["settings"] |= settings

    def complete(self) -> None:
        """Mark the record as that of a whole check."""
        self._content["complete"] = True
        self._write()

    def _write(self) -> None:
        if not self.is_written:
            return
        self._content["seconds"] = round(time.monotonic() - self._begin, 1)
        write_json(self.json, self._content)
        write_text(self.markdown, format_record(self._content))


def format_record(content: dict[str, Any]) -> str:
    """Format a record as Markdown: the machine, and a table for each section."""
    facts = {**content["machine"], "commit": content["commit"], **content["settings"], "seconds": content["seconds"]}
    head = tabulate([(key, str(value)) for key, value in facts.items()], ("", ""), tablefmt="github")
    sections = (format_section(name, section) for name, section in content["sections"].items())
    return "\n".join(["# GPU check\n", head, "", *sections])


def format_section(name: str, section: dict[str, Any]) -> str:
    """Format a section as Markdown."""
    fault = f"Failed: {section['fault']}\n\n" if section["fault"] else ""
    table = tabulate(section["rows"], "keys", floatfmt=".4g", tablefmt="github")
    return f"## {name} ({section['seconds']} s)\n\n{fault}{table}\n"


def describe_card() -> dict[str, Any]:
    """Return the card's name and memory, the driver, and the versions of CUDA and cuDNN."""
    if not torch.cuda.is_available():
        return {}
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "memory (MiB)": properties.total_memory // 2**20,
        "compute capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "driver": _ask("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def describe_commit() -> str:
    """Return the commit of this checkout, with -dirty if files differ; `unknown` outside a git repository."""
    return _ask("git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty")


def _ask(*command: str) -> str:
    """Return the first line of a command's output; `unknown` if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = done.stdout.split("\n")
    return lines[0].strip() if done.returncode == 0 and lines[0] else "unknown"
