"""Decode image files in worker processes, which import only what they need and end with their parent."""

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

from deepen.core.counts import pluralize
from deepen.core.errors import InputError
from deepen.decoding.decode import PIXELS, UnreadableImage, decode_noted
from deepen.decoding.fitting import move_channels_first

_PROGRAM = (
    "import sys; lock = int(sys.argv[1]); sys.path[:] = sys.argv[2:]; "
    "from deepen.decoding.workers import serve; serve(lock)"
)
_CONNECTION_LOST = (EOFError, OSError, pickle.UnpicklingError)  # raised when the other process has ended


@dataclass(frozen=True)
class EncodedFile:
    """An image file: its name for messages, and its bytes, or the reason why it can't be read."""

    name: str
    content: bytes | str


@dataclass(frozen=True)
class ImageSpec:
    """The size (height, width) and the channels (1 or 3) to convert images to; None keeps those of the image."""

    size: tuple[int, int] | None
    channels: int | None = None


@dataclass(frozen=True)
class DecodeResult:
    """The pixels of a file (1 or 3 channels, height, width), or None and the fault; and notes for the user."""

    pixels: NDArray[np.uint8] | None
    fault: str = ""
    notes: tuple[str, ...] = ()


def decode_file(file: EncodedFile, spec: ImageSpec) -> DecodeResult:
    """Decode a file; the fault and each note are sentences that start with its name."""
    try:
        if isinstance(file.content, str):
            raise UnreadableImage(file.content)
        decoded = decode_noted(file.content, spec.size, spec.channels)
    except UnreadableImage as error:
        return DecodeResult(None, f"{file.name}: can't be read as an image ({error}); replace or remove it")
    pixels = np.ascontiguousarray(move_channels_first(decoded.pixels))
    return DecodeResult(pixels, notes=tuple(f"{file.name}: {note}" for note in decoded.notes))


def serve(lock: int) -> None:
    """Decode lists of files from standard input and write lists of results to standard output.

    `lock` is the descriptor of the lock file by which the processes decode large images one at a time.
    """
    PIXELS.share(lock)
    try:
        while True:
            files, spec = pickle.load(sys.stdin.buffer)
            pickle.dump([decode_file(file, spec) for file in files], sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
            sys.stdout.buffer.flush()
    except _CONNECTION_LOST:
        os._exit(0)  # the parent has ended; discard what is left to write


class DecoderPool:
    """Worker processes that decode lists of files; large images are decoded one at a time.

    They run in sessions of their own, so that Ctrl-C reaches the parent only. They end with the parent, even if it is
    killed, because their standard input closes.
    """

    def __init__(self, count: int) -> None:
        pipe = subprocess.PIPE
        with tempfile.TemporaryFile() as lock:
            command = [sys.executable, "-c", _PROGRAM, str(lock.fileno()), *sys.path]
            self._processes = [
                subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True, pass_fds=[lock.fileno()])
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

    def submit(self, files: list[EncodedFile], spec: ImageSpec) -> Future[list[DecodeResult]]:
        """Decode files in a worker; the future raises InputError if the worker died."""
        return self._threads.submit(self._run, files, spec)

    def _run(self, files: list[EncodedFile], spec: ImageSpec) -> list[DecodeResult]:
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((files, spec), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            decoded: list[DecodeResult] = pickle.load(process.stdout)
        except _CONNECTION_LOST as error:
            others = pluralize(len(files) - 1, "file")
            raise InputError(
                f"an image decoding process died (exit code {process.wait()}) at {files[0].name} or one of the "
                f"{others} after it; check whether the machine ran out of memory, and run again"
            ) from error
        finally:
            self._idle.put(process)
        return decoded
