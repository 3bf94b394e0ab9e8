import resource
import sys
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from deepen.core.errors import InputError
from deepen.runtime.device import (
    autocast,
    choose_device,
    choose_dtype,
    find_device,
    move_to_device,
    seed_dropout,
    use_device,
)


def test_more_threads_than_four_a_cpu_are_refused(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    choose_device("cpu", 4)
    with pytest.raises(InputError, match="threads: 5 is more than four per CPU, and this machine has 1; "):
        choose_device("cpu", 5)


FLOAT32 = (torch.backends.cuda.matmul, torch.backends.cudnn)


@pytest.fixture(autouse=True)
def restored():
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    permitted = [operations.allow_tf32 for operations in FLOAT32]
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(deterministic)
    for operations, before in zip(FLOAT32, permitted, strict=True):
        operations.allow_tf32 = before


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_cuda_then_mps_then_cpu(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto", 1).type == expected


@pytest.mark.parametrize("name", ["cuda", "cuda:3", "mps"])
def test_a_device_that_is_not_there(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(
        InputError, match=rf"device: {name} is not available; available: cpu; use one of these, or auto"
    ):
        choose_device(name, 1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [(name, name) for name in ("gpu", "meta", "xla", "cuda:", "cuda:-1", "cuda:1.0", "cpu:0", "CPU", "auto ")]
    + [("", "an empty name"), ("a\nb", r"'a\nb'")],
)
def test_a_device_by_an_unknown_name(monkeypatch, name, shown):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError) as error:
        find_device(name)
    assert str(error.value) == f"device: {shown} is an unknown device; available: cpu; use one of these, or auto"


@pytest.mark.parametrize("name", ["cuda:2", "cuda:01", "cuda:9999", "cuda:99999999999999999999"])
@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_beyond_the_last(name):
    with pytest.raises(InputError) as error:
        find_device(name)
    there = "cpu, cuda, cuda:0, cuda:1"
    assert str(error.value) == f"device: {name} is not available; available: {there}; use one of these, or auto"
    assert find_device("cuda:1") == find_device(torch.device("cuda", 1)) == torch.device("cuda", 1)


@pytest.fixture
def two_gpus(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


def test_each_process_has_a_gpu_of_its_own(two_gpus):
    assert choose_device("auto", 1, local_rank=1) == torch.device("cuda", 1)
    assert two_gpus == [torch.device("cuda", 1)]
    assert choose_device("cpu", 1, local_rank=5) == torch.device("cpu")


def test_a_gpu_that_is_named_becomes_the_current_one(two_gpus):
    for name in ("cuda", "cpu", "cuda:1", "cuda:0"):
        choose_device(name, 1)
    assert two_gpus == [torch.device("cuda", 1), torch.device("cuda", 0)]


def test_a_gpu_is_current_only_within_its_context(monkeypatch):
    entered = []

    @contextmanager
    def device(chosen):
        entered.append(chosen)
        yield
        entered.append(None)

    monkeypatch.setattr(torch.cuda, "device", device)
    for name in ("cpu", "cuda:1"):
        with use_device(torch.device(name)):
            assert entered == ([] if name == "cpu" else [torch.device("cuda", 1)])
    assert entered == [torch.device("cuda", 1), None]


def test_only_the_device_s_generator_is_seeded(monkeypatch):
    gpus = tuple(torch.Generator() for _ in range(2))
    for generator in gpus:
        generator.manual_seed(7)
    monkeypatch.setattr(torch.cuda, "default_generators", gpus)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("seeds all devices"))
    torch.default_generator.manual_seed(7)
    for name, seeds in (("cuda:1", [7, 7, 8]), ("cuda", [7, 8, 8]), ("cpu", [8, 8, 8])):
        seed_dropout(torch.device(name), 8)
        assert [generator.initial_seed() for generator in (torch.default_generator, *gpus)] == seeds


def test_dropout_after_seeding_is_that_of_manual_seed():
    torch.manual_seed(2**62 + 5)
    expected = torch.rand(5)
    seed_dropout(torch.device("cpu"), 2**62 + 5)
    assert torch.equal(torch.rand(5), expected)


def test_the_gpu_of_apple_has_a_generator_too(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch.mps, "manual_seed", seeds.append)
    seed_dropout(torch.device("mps"), 8)
    assert seeds == [8]


def test_float32_is_not_rounded_to_tf32():
    for operations in FLOAT32:
        operations.allow_tf32 = True
    choose_device("cpu", 1)
    assert not any(operations.allow_tf32 for operations in FLOAT32)
    with torch.backends.cudnn.flags():  # as torch.export does; it refuses settings of two kinds
        pass


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(("name", "local_rank"), [("auto", 2), ("cuda", 2), ("cuda:1", 0), ("mps", 0)])
def test_more_processes_than_gpus_or_one_named_for_all(monkeypatch, name, local_rank):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    told = rf"not available for process {local_rank + 1} of this machine: each needs its own GPU, and this machine has 2; start"
    with pytest.raises(InputError, match=told):
        choose_device(name, 1, local_rank=local_rank)


def test_a_second_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="device: cuda:1 is not available; available: cpu, cuda, cuda:0; use"):
        choose_device("cuda:1", 1)


def test_threads_are_fixed_and_kernels_deterministic():
    choose_device("cpu", 1)
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_kept_for_the_next_step():
    choose_device("cpu", 1)
    faults = []
    for _ in range(20):
        torch.ones(10_000_000)  # 40 MB, 9,766 pages
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    assert faults[-1] - faults[9] < 9_766


def test_convolutions_lie_channels_last():
    convolution = move_to_device(torch.nn.Conv2d(3, 4, 3), torch.device("cpu"))
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("precision", "device", "dtype"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "mps", torch.float32),
        ("float32", "cuda", torch.float32),
        ("bfloat16", "cpu", torch.bfloat16),
    ],
)
def test_the_precision_of_the_arithmetic(precision, device, dtype):
    assert choose_dtype(precision, torch.device(device)) == dtype


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(monkeypatch, capability, dtype):
    """The NVIDIA T4 has compute capability 7.5; bfloat16 units came with 8.0."""
    properties = SimpleNamespace(major=capability[0], minor=capability[1])
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", lambda chosen: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert choose_dtype("auto", torch.device("cuda")) == dtype
    assert choose_dtype("bfloat16", torch.device("cuda")) == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_compute_in_it(dtype):
    with autocast(torch.device("cpu"), dtype):
        assert torch.nn.Conv2d(3, 4, 3)(torch.zeros(1, 3, 4, 4)).dtype == dtype
