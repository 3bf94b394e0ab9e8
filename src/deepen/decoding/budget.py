"""Limits on how many pixels or bytes are decoded at a time, which bound memory for any images."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class Budget:
    """A total amount that threads reserve parts of; a thread waits until its part is free."""

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._next, self._released = Lock(), Condition()

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        """Reserve an amount; more than the total is cut to the total."""
        amount = min(amount, self._total)
        with self._next, self._released:  # first come, first served, so that large amounts do not starve
            self._released.wait_for(lambda: self._left >= amount)
            self._left -= amount
        try:
            yield
        finally:
            with self._released:
                self._left += amount
                self._released.notify_all()


class PixelBudget(Budget):
    """A limit on the pixels that are decoded at a time.

    Processes that share a lock file through `share` decode large images one at a time, across all of them.
    """

    def __init__(self, total: int, large: int) -> None:
        super().__init__(total)
        self._large, self._descriptor = large, -1

    def share(self, descriptor: int) -> None:
        """Wait for other processes too, by a lock file. Only for processes that decode in a single thread."""
        self._descriptor = descriptor

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        with super().reserve(amount):
            if self._descriptor < 0 or amount <= self._large:
                yield
                return
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)  # released when the process ends, even if it is killed
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
