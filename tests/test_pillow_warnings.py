"""Warnings of Pillow reach the image that they are about, and no other thread."""

import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from deepen.decoding.pillow_warnings import collect_warnings

CODE = compile("import warnings\ndef warn(text, kind=UserWarning):\n    warnings.warn(text, kind)\n", "x", "exec")
PILLOW: dict = {"__name__": "PIL.Made.Up"}
exec(CODE, PILLOW)
warn = PILLOW["warn"]


@pytest.mark.parametrize("filters", ["error", "ignore", "once"])
def test_warnings_are_collected_under_any_filters_once_each(filters):
    with warnings.catch_warnings():
        warnings.simplefilter(filters)
        before = warnings.filters[:]
        with collect_warnings() as found:
            warn("odd")
            warn("odd")
            warn("strange")
            warn("large", Image.DecompressionBombWarning)
        assert found == ["odd", "strange"]
        assert warnings.filters == before


def test_nothing_that_pillow_logs_is_printed():
    code = "import deepen.decoding.pillow_warnings, logging; logging.getLogger('PIL.TiffImagePlugin').error('odd')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stderr == b""


def test_each_thread_collects_its_own_warnings():
    barrier = threading.Barrier(4)

    def decode(i):
        barrier.wait()
        for round in range(50):
            with collect_warnings() as found:
                warn(f"{i} {round}")
            assert found == [f"{i} {round}"]
        return i

    before = warnings.filters[:]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(decode, range(4))) == [0, 1, 2, 3]
    assert warnings.filters == before


def test_warnings_of_other_threads_and_libraries_are_unchanged():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with collect_warnings() as found:
            other = threading.Thread(target=warn, args=("of another thread",))
            other.start()
            other.join()
        assert found == []
        warn("later")
    assert [str(warning.message) for warning in shown] == ["of another thread", "later"]
