import subprocess
import sys

import pytest
import torch
from torch import optim

from deepen.training.muon import Muon
from deepen.training.optimizers import SGD

RATES = {"momentum": 0.9, "weight_decay": 0.1}


def trained(optimizer, **options):
    """A weight after three steps."""
    weight = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    steps = optimizer([weight], 0.1, **options)
    for _ in range(3):
        steps.zero_grad()
        weight.square().sum().backward()
        steps.step()
    return weight


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_is_pytorch_s(nesterov):
    ours, theirs = (trained(each, nesterov=nesterov, **RATES) for each in (SGD, optim.SGD))
    assert ours.requires_grad
    assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_a_step_does_not_import_the_compiler():
    """In a process of its own, since other tests do."""
    code = "import sys, test_optimizers as t; [t.trained(each, **t.RATES) for each in (t.SGD, t.Muon)]; print('torch._dynamo' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd="tests", capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_muon_learns_without_the_compiler():
    assert trained(Muon, **RATES).square().sum() < 55
