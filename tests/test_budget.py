"""No more is decoded at one time than is allowed, in threads and in processes."""

import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deepen.decoding.budget import Budget


def test_threads_hold_no_more_than_there_is_and_all_get_their_turn():
    budget, lock, held, most = Budget(10), threading.Lock(), [0], [0]

    def hold(amount):
        with budget.reserve(amount):
            with lock:
                held[0] += min(amount, 10)
                most[0] = max(most[0], held[0])
            time.sleep(0.002)
            with lock:
                held[0] -= min(amount, 10)
        return amount

    amounts = [1, 4, 10, 3, 999, 2] * 10
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(hold, amounts)) == amounts
    assert most == [10]


def test_a_share_comes_back_after_an_error():
    budget = Budget(1)
    with pytest.raises(KeyError), budget.reserve(1):
        raise KeyError
    with budget.reserve(1):
        pass


HOLD = """
import sys, time
from deepen.decoding.budget import PixelBudget
budget = PixelBudget(100, large=10)
budget.share(int(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
with budget.reserve(int(sys.argv[2])):
    start = time.monotonic()
    time.sleep(0.5)
    print(start, time.monotonic())
"""


@pytest.mark.parametrize(("pixels", "in_turn"), [(11, True), (10, False)])
def test_processes_take_turns_with_large_images_alone(pixels, in_turn):
    with tempfile.TemporaryFile() as turn:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", HOLD, str(turn.fileno()), str(pixels)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[turn.fileno()],
            )
            for _ in range(2)
        ]  # fmt: skip
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    first, second = sorted(tuple(map(float, process.communicate()[0].split())) for process in processes)
    assert (first[1] <= second[0]) == in_turn
