"""Have a training on the CPU compute in the forms that CUDA gets: fewer kernels, and the same up to rounding."""

from deepen.data import augmentation
from deepen.training.loss import Loss
from deepen.training.muon import Muon


def use_cuda_forms(monkeypatch):
    monkeypatch.setattr(augmentation, "_mirror_by_index", augmentation._mirror)
    monkeypatch.setattr(Loss, "_compute", Loss._compute_in_few_kernels)
    monkeypatch.setattr(Muon, "_step_in_float32", Muon._step_in_few_kernels)
