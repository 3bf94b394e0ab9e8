"""How much is decoded at one time, so that memory is bounded whatever the images are."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class Budget:
    """An amount that threads take shares of; one that asks for more than is left waits for its turn."""

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._turn, self._returned = Lock(), Condition()

    @contextmanager
    def taking(self, amount: int) -> Iterator[None]:
        """Hold a share; one that is larger than all there is waits for all of it."""
        amount = min(amount, self._total)
        with self._turn, self._returned:  # the first that waits is the next, so that a large share gets its turn
            self._returned.wait_for(lambda: self._left >= amount)
            self._left -= amount
        try:
            yield
        finally:
            with self._returned:
                self._left += amount
                self._returned.notify_all()


class PixelBudget(Budget):
    """Pixels that are decoded at one time.

    Processes that were given the descriptor of one file with `share` decode large images one at a time, whichever
    process has them.
    """

    def __init__(self, total: int, large: int) -> None:
        super().__init__(total)
        self._large, self._descriptor = large, -1

    def share(self, descriptor: int) -> None:
        """From here on wait for other processes too. Only for a process that decodes in one thread."""
        self._descriptor = descriptor

    @contextmanager
    def taking(self, amount: int) -> Iterator[None]:
        with super().taking(amount):
            if self._descriptor < 0 or amount <= self._large:
                yield
                return
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)  # ends with the process, however that ends
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
