"""Collect Pillow's warnings for each image, in any thread and under any warning filters."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from PIL import Image


class _Collected(threading.local):
    messages: list[str] | None = None


_lock = threading.Lock()
_collected = _Collected()
_threads = 0
_filters = ExitStack()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else errors are printed besides being raised


@contextmanager
def collect_warnings() -> Iterator[list[str]]:
    """Collect Pillow's warnings in this thread, except those about large images.

    `warnings.catch_warnings` changes the whole process, so the first thread enters it and the last one exits it.
    """
    _enter()
    messages: list[str] = []
    _collected.messages = messages
    try:
        yield messages
    finally:
        _collected.messages = None
        _leave()


def _enter() -> None:
    global _threads
    with _lock:
        _threads += 1
        if _threads == 1:
            _filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("always", module=r"PIL\.")
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
            warnings.showwarning = _wrap_showwarning(warnings.showwarning)


def _leave() -> None:
    global _threads
    with _lock:
        _threads -= 1
        if _threads == 0:
            _filters.close()


def _wrap_showwarning(show: Any) -> Any:
    """Return a `warnings.showwarning` that keeps messages of threads that collect them and shows all others."""

    def keep_or_show(message: Warning | str, *rest: Any) -> None:
        if _collected.messages is None:
            show(message, *rest)
        elif str(message) not in _collected.messages:
            _collected.messages.append(str(message))

    return keep_or_show
