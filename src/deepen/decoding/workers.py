"""Image files decoded in several processes, which import no more than that takes and end with the one that asks."""

import os
import pickle
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deepen.core.counts import counted
from deepen.core.errors import InputError
from deepen.decoding.decode import PIXELS, UnreadableImage, decode_noted
from deepen.decoding.fitting import planes

_PROGRAM = (
    "import sys; turn = int(sys.argv[1]); sys.path[:] = sys.argv[2:]; "
    "from deepen.decoding.workers import serve; serve(turn)"
)
_LOST = (EOFError, OSError, pickle.UnpicklingError)  # what is raised where the other process has ended


@dataclass(frozen=True)
class File:
    """An image file: its name as it is told, and what it holds, or else why it can't be read."""

    name: str
    content: bytes | str


@dataclass(frozen=True)
class Form:
    """What images are brought to while they are decoded: a size (height, width), 1 or 3 channels; None leaves it."""

    size: tuple[int, int] | None
    channels: int | None = None


@dataclass(frozen=True)
class Image:
    """What a file holds: pixels (1 or 3 channels, height, width), or None and the fault; and notes on it."""

    pixels: NDArray[np.uint8] | None
    fault: str = ""
    notes: tuple[str, ...] = ()


def decode_file(file: File, form: Form) -> Image:
    """The pixels of a file, or a sentence on why it has none, and a sentence for each note."""
    try:
        if isinstance(file.content, str):
            raise UnreadableImage(file.content)
        found = decode_noted(file.content, form.size, form.channels)
    except UnreadableImage as error:
        return Image(None, f"{file.name}: can't be read as an image ({error}); replace or remove it")
    pixels = np.ascontiguousarray(planes(found.pixels))
    return Image(pixels, notes=tuple(f"{file.name}: {note}" for note in found.notes))


def serve(turn: int) -> None:
    """Answer each list of files on standard input with a list of what they hold on standard output.

    `turn` is the descriptor of a file by which processes take turns with large images.
    """
    PIXELS.share(turn)
    try:
        while True:
            files, form = pickle.load(sys.stdin.buffer)
            pickle.dump([decode_file(file, form) for file in files], sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
            sys.stdout.buffer.flush()
    except _LOST:
        os._exit(0)  # the end, whatever is left to write: nobody asks any more


class Decoders:
    """Processes that decode files, a list of them at a time; of large images one is decoded at a time.

    They have a session of their own, so that Ctrl-C reaches the asking process alone, and end with it even where that
    is killed, since their input then ends.
    """

    def __init__(self, count: int) -> None:
        pipe = subprocess.PIPE
        with tempfile.TemporaryFile() as turn:
            command = [sys.executable, "-c", _PROGRAM, str(turn.fileno()), *sys.path]
            self._processes = [
                subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True, pass_fds=[turn.fileno()])
                for _ in range(count)
            ]
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self._processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.communicate()

    def submit(self, files: list[File], form: Form) -> Future[list[Image]]:
        """Have files decoded; the result raises InputError where the process was ended."""
        return self._threads.submit(self._decoded, files, form)

    def _decoded(self, files: list[File], form: Form) -> list[Image]:
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((files, form), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            found: list[Image] = pickle.load(process.stdout)
        except _LOST as error:
            raise InputError(
                f"a process that decodes images was ended (code {process.wait()}), at {files[0].name} or one of "
                f"{counted(len(files) - 1, 'file')} after it; see whether memory is short, and run it again"
            ) from error
        finally:
            self._idle.put(process)
        return found
