"""No more is decoded at one time than is allowed, in threads and in processes."""

import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from select import select

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
import sys
from deepen.decoding.budget import PixelBudget
budget = PixelBudget(100, large=10)
budget.share(int(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
with budget.reserve(int(sys.argv[2])):
    print("has it", flush=True)
    sys.stdin.readline()
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
    holding = [wait_until_one_has_it(processes)]
    (other,) = set(processes) - set(holding)
    assert bool(select([other.stdout], [], [], 0.3 if in_turn else 60)[0]) != in_turn
    for process in (*holding, other):
        process.communicate("go\n")
        assert process.returncode == 0


def wait_until_one_has_it(processes):
    """Return the process that says so first."""
    said = select([process.stdout for process in processes], [], [], 60)[0]
    return next(process for process in processes if process.stdout in said)
