"""Interrupt a program at its imports: a fork of it receives the signal there, and the program itself goes on.

Python imports this module at start if its folder is in PYTHONPATH. INTERRUPT_FROM names the module at whose import it
begins, and INTERRUPT_WITH the signals, which take turns. The program writes a line to the file INTERRUPTED for each fork:
the import, the signal, the exit code and what the fork wrote to standard error.
"""

import os
import sys

EACH = 40  # imports; of those that follow, one in 300, since a fork of a process with PyTorch takes longer


class Interrupting:
    """A finder of modules that finds none."""

    def __init__(self):
        self.signals = [int(number) for number in os.environ["INTERRUPT_WITH"].split()]
        self.begun, self.count = False, 0

    def find_spec(self, name, path=None, target=None):
        self.begun = self.begun or name == os.environ["INTERRUPT_FROM"]
        if not self.begun:
            return
        self.count += 1
        if self.count < EACH or self.count % 300 == 0:
            self.interrupt(name, self.signals[self.count % len(self.signals)])

    def interrupt(self, name, number):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            sys.meta_path.remove(self)
            os.dup2(write, 2)
            os.kill(os.getpid(), number)
            return
        os.close(write)
        with open(read, "rb") as said, open(os.environ["INTERRUPTED"], "a") as file:
            told = said.read().decode()
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print([name, number, code, told], file=file)


if "INTERRUPTED" in os.environ:
    sys.meta_path.insert(0, Interrupting())
