"""A function called in several processes at once, as torchrun would start them."""

import os
import socket
import sys
import time
import traceback
from multiprocessing import forkserver, get_context
from unittest import mock

# Processes are forked from one that has imported PyTorch and what they run, which would take each of them seconds.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["group_workers", "torch._dynamo"])  # which DistributedDataParallel imports


class EndedBadly(Exception):
    """What a process raised, with its traceback, as text."""


def together(size, function, *arguments, lost=(), seconds=300):
    """Call a function of a module in `size` processes; return each result, or EndedBadly with what it raised.

    Results of the ranks in `lost` are not awaited.
    """
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):  # where group_workers is
        forkserver.ensure_running()
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    started = []
    for rank in range(size):
        here, there = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_as_rank, args=(rank, size, port, there, function, arguments), daemon=True)
        process.start()
        there.close()
        started.append((process, here))
    end = time.monotonic() + seconds
    found = [None if rank in lost else _heard(*one, end) for rank, one in enumerate(started)]
    for process, _ in started:
        process.kill()
        process.join()
    return found


def _heard(process, here, end):
    try:
        return here.recv() if here.poll(max(0, end - time.monotonic())) else EndedBadly("nothing so far")
    except EOFError:
        process.join()
        return EndedBadly(f"exit code {process.exitcode}")


def _as_rank(rank, size, port, there, function, arguments):
    os.environ |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    try:
        there.send(function(*arguments))
    except BaseException as error:
        there.send(EndedBadly("".join(traceback.format_exception(error))))
