"""Images on their way from their files into a set: decoded as they are read, and kept in a file and not in memory."""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deepen.core.errors import InputError
from deepen.core.files import cannot_write
from deepen.decoding.workers import DecodeResult, DecoderPool, EncodedFile, ImageSpec, decode_file

_CHUNK_FILES, _CHUNK_BYTES = 64, 1 << 19  # what a process is handed at once, at most, but for one file
_CHUNK_PIXEL_BYTES = 1 << 23  # what it hands back
_ALONE = 4  # chunks that are decoded right here: starting a process takes as long
_MOST_PROCESSES = 8  # more than one process that reads can feed


class Staging:
    """Images in the order in which their files are added.

    Their pixels go to a file without a name in the folder `room`, by default that of the system; it is gone with the
    last map of it, however this process ends. `faults` tells of files that can't be read, each with its row, `notes` of
    those that can, with a warning; `sizes` has every (height, width) there is. Once a set can't come of it any more no
    pixels are kept.
    """

    def __init__(self, spec: ImageSpec, room: Path | None = None) -> None:
        self._spec, self._room = spec, room or Path(tempfile.gettempdir())
        self.faults: list[tuple[int, str]] = []
        self.sizes: set[tuple[int, int]] = set()
        self.notes: list[str] = []
        self._channels = 1
        self._added = self._stored = self._sent = 0
        self._files: list[EncodedFile] = []
        self._bytes, self._most_files = 0, _CHUNK_FILES
        self._waiting: deque[Future[list[DecodeResult]]] = deque()
        self._processes = min(os.cpu_count() or 1, _MOST_PROCESSES)
        self._decoders: DecoderPool | None = None

    def __enter__(self) -> Self:
        self._open = ExitStack()
        with self._told_if_full():
            self._room.mkdir(parents=True, exist_ok=True)
            self._pixels = self._open.enter_context(tempfile.TemporaryFile(dir=self._room))
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # of a full disk, told before
            self._open.close()

    def __len__(self) -> int:
        """How many files were added."""
        return self._added

    def add(self, name: str, read: Callable[[], bytes]) -> int:
        """Read a file, to be decoded in its turn; returns its row. Raises InputError where its archive is broken."""
        content: bytes | str
        try:
            content = read()
        except InputError:
            raise
        except OSError as error:
            content = error.strerror or str(error)
        except ValueError as error:
            content = str(error)
        self._files.append(EncodedFile(name, content))
        self._added, self._bytes = self._added + 1, self._bytes + len(content)
        if len(self._files) >= self._most_files or self._bytes >= _CHUNK_BYTES:
            self._send()
        return self._added - 1

    def finish(self) -> None:
        """Have all that were added decoded; from here on `faults`, `notes` and `sizes` are known."""
        self._send()
        while self._waiting:
            self._store(self._waiting.popleft().result())
        with self._told_if_full():
            self._pixels.flush()

    def images(self) -> NDArray[np.uint8]:
        """A map of all images, (images, channels, height, width), where they have one size: grey if all are grey."""
        ((height, width),) = self.sizes
        pixels = np.memmap(self._pixels, np.uint8, "r", shape=(self._added, 3, height, width))
        return pixels.view(np.ndarray)[:, : self._channels]

    def _send(self) -> None:
        files, self._files, self._bytes, self._sent = self._files, [], 0, self._sent + 1
        if self._sent <= _ALONE:
            return self._store(decode_file(file, self._spec) for file in files)
        if self._decoders is None:
            self._decoders = self._open.enter_context(DecoderPool(self._processes))
        self._waiting.append(self._decoders.submit(files, self._spec))
        if len(self._waiting) > self._processes + 2:
            self._store(self._waiting.popleft().result())
        return None

    def _store(self, decoded: Iterable[DecodeResult]) -> None:
        for found in decoded:
            self.notes += found.notes
            if found.pixels is None:
                self.faults.append((self._stored, found.fault))
            else:
                self._keep(found.pixels)
            self._stored += 1

    def _keep(self, image: NDArray[np.uint8]) -> None:
        channels, height, width = image.shape
        self.sizes.add((height, width))
        self._channels = max(self._channels, channels)
        self._most_files = max(1, min(_CHUNK_FILES, _CHUNK_PIXEL_BYTES // (3 * height * width)))
        if len(self.sizes) == 1 and not self.faults:
            with self._told_if_full():  # grey ones as three equal channels: whether all are grey shows at the end
                self._pixels.write(np.broadcast_to(image, (3, height, width)).tobytes())

    @contextmanager
    def _told_if_full(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._room, error) from error
