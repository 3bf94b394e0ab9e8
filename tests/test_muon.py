from types import SimpleNamespace

import pytest
import torch
from kernels import list_kernels
from torch.utils.flop_counter import FlopCounterMode

from deepen.runtime.device import permit_tf32
from deepen.training import gram_newton_schulz, muon
from deepen.training.gram_newton_schulz import group_sizes, orthogonalize_together
from deepen.training.muon import Muon

MODEL_I = [(128, 27), (256, 1152), (512, 2304), (1024, 8192), (10, 1024)]
MODEL_III = [*MODEL_I, (256, 2304), *[(512, 4608)] * 5, (1024, 1024)]


def orthogonalize(matrix):
    return muon.orthogonalize(matrix[None])[0]


def orthogonalize_in_half(*matrices):
    results = [torch.empty_like(matrix) for matrix in matrices]
    orthogonalize_together([matrix.bfloat16() for matrix in matrices], results)
    return results[0] if len(matrices) == 1 else results


def take_direct_steps(matrix, steps=5):
    """The post's Newton-Schulz steps on the matrix itself, in bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = (matrix / matrix.norm()).bfloat16()
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.float()


@pytest.fixture(params=["float32", "half"])
def step(request, monkeypatch):  # each form of a step, on the CPU
    if request.param == "half":
        monkeypatch.setattr(Muon, "_step_in_float32", Muon._step_in_few_kernels)


both = pytest.mark.parametrize("orthogonalize", [orthogonalize, orthogonalize_in_half])


@both
@pytest.mark.parametrize("shape", [(24, 24), (16, 144), (144, 16), (1, 9)])
def test_every_singular_value_comes_near_one(orthogonalize, shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    wanted = max(1, shape[0] / shape[1]) ** 0.5
    assert values.min() > 0.6 * wanted or shape == (24, 24)  # a square random matrix has values near 0
    assert values.max() < 1.3 * wanted


@both
def test_directions_are_kept(orthogonalize):
    u, s, v = torch.linalg.svd(torch.randn(8, 20, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    assert torch.allclose(u.T @ orthogonalize(u * s @ v) @ v.T, torch.eye(8), atol=0.35)
    assert torch.allclose(orthogonalize(1e3 * u * s @ v), orthogonalize(u * s @ v), atol=2e-2)


def with_values(values, columns=576):
    generator = torch.Generator().manual_seed(1)
    u, _, v = torch.linalg.svd(torch.randn(len(values), columns, generator=generator), full_matrices=False)
    return u * values @ v


def first_then(others, count=128):
    return torch.cat([torch.ones(1), others * torch.linspace(0.8, 1.2, count - 1)])


def gradient_of_a_layer():
    """The gradient of a layer of 128 units behind a rectified one, for 64 images."""
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(64, 300, generator=generator) @ torch.randn(300, 576, generator=generator)
    weight = (torch.randn(128, 576, generator=generator) / 24).requires_grad_()
    torch.nn.functional.cross_entropy(torch.relu(inputs.relu() @ weight.T), torch.arange(64)).backward()
    return weight.grad


@pytest.mark.parametrize(
    "matrix",
    [
        pytest.param(with_values(torch.linspace(0.5, 1, 128)), id="flat"),
        pytest.param(with_values(torch.logspace(0, -2, 128)), id="condition 1e2"),
        pytest.param(with_values(torch.logspace(0, -4, 128)), id="condition 1e4"),
        pytest.param(with_values(torch.logspace(0, -8, 128)), id="condition 1e8"),
        pytest.param(with_values(first_then(0.01)), id="one large"),
        pytest.param(with_values(first_then(0.001)), id="one very large"),
        pytest.param(with_values(first_then(0.0)), id="rank 1"),
        pytest.param(1e-9 * with_values(torch.linspace(0.5, 1, 128)), id="small"),
        pytest.param(1e9 * with_values(torch.linspace(0.5, 1, 128)), id="large"),
        pytest.param(torch.logspace(0, -4, 128)[:, None] * with_values(torch.ones(128)), id="rows of unequal size"),
        pytest.param(gradient_of_a_layer(), id="gradient"),
    ],
)
def test_half_precision_stays_between_the_bounds_of_the_direct_steps(matrix):
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    ours, theirs = orthogonalize_in_half(matrix), take_direct_steps(matrix)
    assert torch.linalg.svdvals(ours).max() < 1.3  # the direct steps: 1.2
    reached = torch.linalg.vecdot(u.T @ ours, v)  # along each pair of singular vectors
    above = s > 0.004 * (s**4).sum() ** 0.25
    assert reached[above].min() > 0.65
    assert reached.min() > -0.05
    polar = u @ v
    close, expected = (torch.nn.functional.cosine_similarity(x.flatten(), polar.flatten(), 0) for x in (ours, theirs))
    assert close > expected - 0.03


def test_matrices_in_half_precision_are_together_as_alone():
    matrices = [torch.randn(shape) for shape in [(6, 10), (10, 6), (30, 30), (3, 50)]]
    matrices.append(1e4 * torch.randn(6, 12))
    for matrix, together in zip(matrices, orthogonalize_in_half(*matrices), strict=True):
        assert torch.allclose(together, orthogonalize_in_half(matrix), atol=2e-2)


@pytest.mark.parametrize("shapes", [MODEL_I, MODEL_III])
def test_half_precision_takes_at_most_two_fifths_of_the_operations_of_direct_steps(shapes):
    with torch.device("meta"), FlopCounterMode(display=False) as direct:
        for rows, columns in shapes:
            take_direct_steps(torch.empty(min(rows, columns), max(rows, columns)))
    with torch.device("meta"), FlopCounterMode(display=False) as ours:
        matrices = [torch.empty(shape) for shape in shapes]
        orthogonalize_together([matrix.bfloat16() for matrix in matrices], matrices)
    assert ours.get_total_flops() <= 0.4 * direct.get_total_flops()


def test_small_matrices_join_larger_ones_while_the_operations_allow_it():
    wide = [(min(shape), max(shape)) for shape in MODEL_I]
    assert group_sizes(wide) == [(512, [0, 1, 2, 4]), (1024, [3])]
    assert group_sizes([(64, 64), (4, 100), (64, 64)]) == [(64, [0, 2]), (4, [1])]


def test_a_step_in_half_precision_takes_few_kernels(monkeypatch):
    monkeypatch.setattr(Muon, "_step_in_float32", Muon._step_in_few_kernels)
    shapes = [(8, 3, 3, 3), (16, 8, 3, 3), (32, 16, 3, 3), (64, 512), (10, 64)]  # model I at a 16th of its width
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    parameters += [torch.nn.Parameter(torch.randn(shape[0])) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer = Muon(parameters, torch.tensor(0.1), momentum=0.9, weight_decay=0.1)
    optimizer.step()  # makes the momentum buffers
    kernels = list_kernels(optimizer.step)
    del kernels["_to_copy"]  # only on a CPU
    assert kernels.total() <= 59, kernels


def test_processes_divide_the_matrices_in_half_precision():
    steps = [torch.randn(6, 10), torch.randn(8, 3, 3, 3).to(memory_format=torch.channels_last), torch.randn(12, 4)]
    expected, owned = divided(steps, rank=0, size=1)[0], []
    for rank in (0, 1):
        directions, owners = divided(steps, rank, size=2)
        for direction, alone, owner in zip(directions, expected, owners, strict=True):
            assert owner != rank or torch.allclose(direction, alone, atol=2e-2)
        owned += [index for index, owner in enumerate(owners) if owner == rank]
    assert sorted(owned) == [0, 1, 2]


def divided(steps, rank, size):
    """Return what this rank computes, and the owners of the matrices."""
    told = []
    group = SimpleNamespace(rank=rank, size=size, broadcast=lambda tensors, owners: told.extend(owners))
    optimizer = Muon([torch.nn.Parameter(step) for step in steps], 0.1, momentum=0.9, weight_decay=0.0, group=group)
    return optimizer._orthogonalize_in_half(steps), told


def test_matrices_together_are_as_alone():
    first, second = torch.randn(2, 6, 10)
    together = muon.orthogonalize(torch.stack([first, 100 * second]))
    assert torch.allclose(together, torch.stack([orthogonalize(first), orthogonalize(second)]), atol=1e-4)


@pytest.mark.usefixtures("step")
def test_a_channels_last_convolution_moves_as_any_other():
    start, gradient = torch.randn(4, 3, 3, 3), torch.randn(4, 3, 3, 3)
    plain = stepped(torch.nn.Parameter(start.clone()), [gradient])
    last = start.clone(memory_format=torch.channels_last)
    assert torch.allclose(stepped(torch.nn.Parameter(last), [gradient]), plain, atol=1e-3)


@pytest.mark.usefixtures("step")
def test_the_learning_rate_may_be_a_tensor_that_changes():
    rate, parameter = torch.tensor(0.1), torch.nn.Parameter(torch.ones(2))
    optimizer = Muon([parameter], rate, momentum=0.0, weight_decay=0.0)
    for value in (0.1, 0.5):
        rate.fill_(value)
        parameter.grad = torch.ones(2)
        optimizer.step()
    assert torch.allclose(parameter.detach(), torch.full((2,), 0.4))


@both
def test_a_gradient_of_nothing_is_no_step(orthogonalize):
    assert torch.equal(orthogonalize(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_float32_is_not_rounded_to_tf32_even_where_that_is_allowed(monkeypatch):
    used, matmul = [], torch.backends.cuda.matmul
    multiply = gram_newton_schulz._iterate_gram_matrix

    def note(x):
        used.append(matmul.allow_tf32)
        return multiply(x)

    monkeypatch.setattr(gram_newton_schulz, "_iterate_gram_matrix", note)
    with permit_tf32(True):
        orthogonalize(torch.randn(3, 5))
        assert [*used, matmul.allow_tf32] == [False, True]
    assert not matmul.allow_tf32


def stepped(parameter, gradients, **settings):
    optimizer = Muon([parameter], 0.1, **{"momentum": 0.5, "weight_decay": 0.2, **settings})
    for gradient in gradients:
        parameter.grad = gradient.clone()  # a step may overwrite it
        optimizer.step()
    return parameter.detach()


@pytest.mark.usefixtures("step")
def test_biases_take_plain_nesterov_steps_without_decay():
    first, second = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 4.0])
    ours = stepped(torch.nn.Parameter(torch.ones(2)), [first, second])
    theirs = torch.nn.Parameter(torch.ones(2))
    sgd = torch.optim.SGD([theirs], 0.1, momentum=0.5, nesterov=True)
    for gradient in (first, second):
        theirs.grad = gradient
        sgd.step()
    assert torch.allclose(ours, theirs.detach())


@pytest.mark.usefixtures("step")
@pytest.mark.parametrize("rate", [0.1, torch.tensor(0.1)])
def test_vectors_can_have_another_rate_than_matrices(rate):
    starts = torch.randn(6, 10), torch.randn(6)
    gradients = [tuple(torch.randn_like(start) for start in starts) for _ in range(2)]
    moved = {}
    for factor in (1.0, 10.0):
        parameters = [torch.nn.Parameter(start.clone()) for start in starts]
        optimizer = Muon(parameters, rate, momentum=0.5, weight_decay=0.2, vector_lr=factor)
        for each in gradients:
            for parameter, gradient in zip(parameters, each, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
        moved[factor] = [parameter.detach() - start for parameter, start in zip(parameters, starts, strict=True)]
    assert torch.equal(moved[1.0][0], moved[10.0][0])
    assert torch.allclose(10 * moved[1.0][1], moved[10.0][1], rtol=1e-4)


@pytest.mark.usefixtures("step")
def test_a_matrix_shrinks_by_its_decay_and_moves_by_the_learning_rate_in_every_direction():
    start, gradient = torch.randn(4, 3, 3, 3), torch.randn(4, 3, 3, 3)
    moved = stepped(torch.nn.Parameter(start.clone()), [gradient]) - (1 - 0.1 * 0.2) * start
    values = torch.linalg.svdvals(moved.flatten(1))
    assert ((values > 0.06) & (values < 0.13)).all()
    assert (moved * gradient).sum() < 0


@pytest.mark.usefixtures("step")
def test_its_settings_matter():
    start = torch.randn(6, 10)
    gradients = [torch.randn(6, 10), torch.randn(6, 10)]
    base = stepped(torch.nn.Parameter(start.clone()), gradients)
    assert not torch.allclose(stepped(torch.nn.Parameter(start.clone()), gradients, momentum=0.0), base, atol=1e-3)
    assert not torch.allclose(stepped(torch.nn.Parameter(start.clone()), gradients, weight_decay=0.0), base, atol=1e-3)


@pytest.mark.parametrize(
    ("work", "workers", "owners"),
    [
        ([1, 1, 2], 2, [1, 1, 0]),
        ([3, 3, 4, 5, 6], 2, [0, 0, 1, 1, 0]),
        ([5], 3, [0]),
        ([], 2, []),
    ],
)
def test_the_largest_matrix_goes_first_to_the_worker_with_the_least_work(work, workers, owners):
    assert muon.assign_owners(work, workers) == owners
