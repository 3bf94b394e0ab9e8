import sys
from pathlib import Path

import pytest
import torch

from deepen.core.errors import InputError
from deepen.runtime import machine


@pytest.fixture
def without_gpu(monkeypatch):
    """A Linux machine without a GPU's driver, in which PyTorch must not be looked for."""
    monkeypatch.setattr(machine, "may_have_gpu", lambda: False)
    monkeypatch.setitem(sys.modules, "deepen.runtime.device", None)


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_memory_of_a_cpu_is_told_without_pytorch(without_gpu, device):
    assert machine.get_device_memory(device) == machine.get_main_memory() > 2**28


def test_pytorch_is_asked_about_whatever_may_be_a_gpu(monkeypatch):
    monkeypatch.setattr(machine, "may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("deepen.runtime.device.get_total_memory", lambda device: {"cuda": 80}[device.type])
    assert machine.get_device_memory("auto") == machine.get_device_memory("cuda:0") == 80


def test_a_device_that_is_named_and_missing_is_an_error_also_without_a_driver(monkeypatch):
    monkeypatch.setattr(machine, "may_have_gpu", lambda: False)
    with pytest.raises(InputError, match="device: cuda:99 is not available"):
        machine.get_device_memory("cuda:99")


@pytest.mark.parametrize(
    ("platform", "library", "kfd", "may"),
    [
        ("linux", False, False, False),
        ("linux", True, False, True),  # NVIDIA's driver
        ("linux", False, True, True),  # AMD's
        ("darwin", False, False, True),  # Apple's
        ("win32", False, False, True),
    ],
)
def test_a_gpu_is_ruled_out_only_where_no_driver_is(monkeypatch, platform, library, kfd, may):
    def load(name):
        if not library:
            raise OSError(name)

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(machine.ctypes, "CDLL", load)
    monkeypatch.setattr(Path, "exists", lambda path: kfd and str(path) == "/dev/kfd")
    assert machine.may_have_gpu() is may


def test_a_machine_in_which_pytorch_finds_a_gpu_is_never_ruled_out():
    assert machine.may_have_gpu() or not torch.cuda.is_available()
