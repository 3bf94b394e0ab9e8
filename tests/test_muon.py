import pytest
import torch

from deepen.training import muon
from deepen.training.muon import Muon


def orthogonalize(matrix):
    return muon.orthogonalize(matrix[None])[0]


@pytest.fixture(params=["_iterate_gram_matrix", "_iterate_in_bfloat16"])
def form(request, monkeypatch):  # on any device
    monkeypatch.setattr(muon, "_iterate_gram_matrix", getattr(muon, request.param))


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("shape", [(24, 24), (16, 144), (144, 16), (1, 9)])
def test_every_singular_value_comes_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    wanted = max(1, shape[0] / shape[1]) ** 0.5
    assert values.min() > 0.6 * wanted or shape == (24, 24)  # a square random matrix has values near 0
    assert values.max() < 1.3 * wanted


@pytest.mark.usefixtures("form")
def test_directions_are_kept():
    u, s, v = torch.linalg.svd(torch.randn(8, 20, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    assert torch.allclose(u.T @ orthogonalize(u * s @ v) @ v.T, torch.eye(8), atol=0.35)
    assert torch.allclose(orthogonalize(1e3 * u * s @ v), orthogonalize(u * s @ v), atol=2e-2)


def test_matrices_together_are_as_alone():
    first, second = torch.randn(2, 6, 10)
    together = muon.orthogonalize(torch.stack([first, 100 * second]))
    assert torch.allclose(together, torch.stack([orthogonalize(first), orthogonalize(second)]), atol=1e-4)


def test_a_channels_last_convolution_moves_as_any_other():
    start, gradient = torch.randn(4, 3, 3, 3), torch.randn(4, 3, 3, 3)
    plain = stepped(torch.nn.Parameter(start.clone()), [gradient])
    last = start.clone(memory_format=torch.channels_last)
    assert torch.allclose(stepped(torch.nn.Parameter(last), [gradient]), plain, atol=1e-5)


def test_the_learning_rate_may_be_a_tensor_that_changes():
    rate, parameter = torch.tensor(0.1), torch.nn.Parameter(torch.ones(2))
    optimizer = Muon([parameter], rate, momentum=0.0, weight_decay=0.0)
    for value in (0.1, 0.5):
        rate.fill_(value)
        parameter.grad = torch.ones(2)
        optimizer.step()
    assert torch.allclose(parameter.detach(), torch.full((2,), 0.4))


def test_a_gradient_of_nothing_is_no_step():
    assert torch.equal(orthogonalize(torch.zeros(3, 5)), torch.zeros(3, 5))


def stepped(parameter, gradients, **settings):
    optimizer = Muon([parameter], 0.1, **{"momentum": 0.5, "weight_decay": 0.2, **settings})
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    return parameter.detach()


def test_biases_take_plain_nesterov_steps_without_decay():
    first, second = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 4.0])
    ours = stepped(torch.nn.Parameter(torch.ones(2)), [first, second])
    theirs = torch.nn.Parameter(torch.ones(2))
    sgd = torch.optim.SGD([theirs], 0.1, momentum=0.5, nesterov=True)
    for gradient in (first, second):
        theirs.grad = gradient
        sgd.step()
    assert torch.allclose(ours, theirs.detach())


def test_a_matrix_shrinks_by_its_decay_and_moves_by_the_learning_rate_in_every_direction():
    start, gradient = torch.randn(4, 3, 3, 3), torch.randn(4, 3, 3, 3)
    moved = stepped(torch.nn.Parameter(start.clone()), [gradient]) - (1 - 0.1 * 0.2) * start
    values = torch.linalg.svdvals(moved.flatten(1))
    assert ((values > 0.06) & (values < 0.13)).all()
    assert (moved * gradient).sum() < 0


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
