"""A function called in several processes at once, as torchrun would start them."""

import os
import traceback
from multiprocessing import get_context

from torch.distributed import TCPStore

# Processes are forked from one that has PyTorch loaded, which else takes each of them seconds.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["deepen.training", "pytest"])


class EndedBadly(Exception):
    """What a process raised, as text."""


def together(size, function, *arguments, seconds=120):
    """What the function, of a module, returns in each of so many processes; or EndedBadly with what it raised there."""
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)  # torchrun has it outlive them too
    started = []
    for rank in range(size):
        here, there = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(
            target=_as_rank, args=(rank, size, store.port, there, function, arguments), daemon=True
        )
        process.start()
        there.close()
        started.append((process, here))
    found = [_heard(process, here, seconds) for process, here in started]
    for process, _ in started:
        process.kill()
        process.join()
    return found


def _heard(process, here, seconds):
    try:
        return here.recv() if here.poll(seconds) else EndedBadly(f"nothing within {seconds} s")
    except EOFError:
        process.join()
        return EndedBadly(f"exit code {process.exitcode}")


def _as_rank(rank, size, port, there, function, arguments):
    os.environ |= {"TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    try:
        there.send(function(*arguments))
    except BaseException as error:
        there.send(EndedBadly("".join(traceback.format_exception(error))))
