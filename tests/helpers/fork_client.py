"""The clients that replace `python`, `dvc` and `deepen` on the PATH of a test's project: the fork server runs the command.

A client starts in a hundredth of a second, as it imports only this file. `write_clients` in fork_server.py writes
server.json beside it: the server's socket, the real Python, and the variables that Python reads as it starts.
"""

import json
import os
import socket
import sys

# Variables that a process reads once, when it starts or imports a package: the server has read them already.
EARLY = ("PYTHON", "LC_", "LANG", "OMP_", "MKL_", "OPENBLAS_", "TORCH_", "CUDA_")


def early(environment):
    """Return the variables that only a new process would read."""
    return {key: value for key, value in environment.items() if key.startswith(EARLY) and key != "PYTHONPATH"}


def is_served(name, words):
    """Return whether the server runs a command: of `python` only the stages."""
    return name != "python" or (len(words) > 1 and words[0] == "-m" and words[1].startswith(("pipeline.", "study.")))


def ask(address, name, words):
    """Have the server run a command with the streams of this process; return its exit code."""
    request = {"words": [name, *words], "folder": os.getcwd(), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [b"."], [0, 1, 2])
        server.sendall(json.dumps(request).encode() + b"\n")
        answer = server.recv(1)
    return answer[0] if answer else 1


if __name__ == "__main__":
    (folder, name), words = os.path.split(sys.argv[0]), sys.argv[1:]
    with open(os.path.join(folder, "server.json")) as file:
        server = json.load(file)
    if is_served(name, words) and early(os.environ) == server["early"]:
        sys.exit(ask(server["address"], name, words))
    real = server["python"] if name == "python" else os.path.join(os.path.dirname(server["python"]), name)
    os.execv(real, [real, *words])
