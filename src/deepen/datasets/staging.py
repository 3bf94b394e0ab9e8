"""Decode image files while they are read, and keep the pixels in a temporary file instead of memory."""

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
from deepen.core.files import make_write_error
from deepen.decoding.workers import DecodeResult, DecoderPool, EncodedFile, ImageSpec, decode_file

_CHUNK_FILES, _CHUNK_BYTES = 64, 1 << 19  # the limits of one chunk for a worker; one larger file is allowed
_CHUNK_PIXEL_BYTES = 1 << 23  # of the pixels that a worker returns
_ALONE = 4  # chunks decoded in this process: starting a worker takes as long
_MOST_PROCESSES = 8  # more than one reading process can feed


class Staging:
    """Images in the order in which their files are added.

    Their pixels go to an unnamed file in `temp_dir`, by default the system's. It is deleted with its last map, even if
    the process is killed. `faults` has a row and a sentence for each unreadable file, `notes` has warnings on
    readable ones, and `sizes` has every (height, width). After the first fault or second size no pixels are kept.
    """

    def __init__(self, spec: ImageSpec, temp_dir: Path | None = None) -> None:
        self._spec, self._temp_dir = spec, temp_dir or Path(tempfile.gettempdir())
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
        with self._reraise_write_error():
            self._temp_dir.mkdir(parents=True, exist_ok=True)
            self._pixels = self._open.enter_context(tempfile.TemporaryFile(dir=self._temp_dir))
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # the disk is full, which was reported before
            self._open.close()

    def __len__(self) -> int:
        """Return the number of added files."""
        return self._added

    def add(self, name: str, read: Callable[[], bytes]) -> int:
        """Read a file and queue it for decoding; return its row. Raises InputError if its archive is damaged."""
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
        """Decode all files that were added; then `faults`, `notes` and `sizes` are complete."""
        self._send()
        while self._waiting:
            self._store(self._waiting.popleft().result())
        with self._reraise_write_error():
            self._pixels.flush()

    def images(self) -> NDArray[np.uint8]:
        """Return a memory map (images, channels, height, width) of images of one size; greyscale if all are."""
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
        for result in decoded:
            self.notes += result.notes
            if result.pixels is None:
                self.faults.append((self._stored, result.fault))
            else:
                self._keep(result.pixels)
            self._stored += 1

    def _keep(self, image: NDArray[np.uint8]) -> None:
        channels, height, width = image.shape
        self.sizes.add((height, width))
        self._channels = max(self._channels, channels)
        self._most_files = max(1, min(_CHUNK_FILES, _CHUNK_PIXEL_BYTES // (3 * height * width)))
        if len(self.sizes) == 1 and not self.faults:
            with self._reraise_write_error():  # greyscale as three equal channels, since a colour image may follow
                self._pixels.write(np.broadcast_to(image, (3, height, width)).tobytes())

    @contextmanager
    def _reraise_write_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise make_write_error(self._temp_dir, error) from error
