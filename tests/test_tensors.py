import numpy as np
import pytest
import torch

from deepen.models.tensors import compute_tensors_checksum, find_tensor_faults

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (WEIGHT, None),
        (WEIGHT.T, "tensor fc1.weight has shape (3, 2), expected (2, 3)"),
        (WEIGHT.astype(np.float64), "tensor fc1.weight has dtype float64, expected float32"),
        (np.full((2, 3), np.inf, np.float32), "tensor fc1.weight has NaN or infinite values"),
    ],
)
def test_a_tensor_has_one_fault_or_none(found, fault):
    assert find_tensor_faults({"fc1.weight": found}, {"fc1.weight": (2, 3)}) == ([fault] if fault else [])


def test_missing_and_unexpected_tensors_are_faults():
    assert find_tensor_faults({"a": WEIGHT}, {"b": (2, 3)}) == ["tensor b is missing", "unexpected tensor a"]


def test_an_array_and_a_tensor_of_equal_values_have_the_same_checksum():
    expected = compute_tensors_checksum("x", {"a": WEIGHT})
    assert compute_tensors_checksum("x", {"a": torch.from_numpy(WEIGHT)}) == expected
    assert compute_tensors_checksum("x", {"a": np.asfortranarray(WEIGHT)}) == expected
    assert compute_tensors_checksum("x", {"a": WEIGHT + 1}) != expected
    assert compute_tensors_checksum("x", {"b": WEIGHT}) != expected


def test_tensors_of_a_dtype_that_numpy_lacks_have_a_checksum():
    tensor = torch.from_numpy(WEIGHT).bfloat16()
    assert compute_tensors_checksum("", {"a": tensor}) == compute_tensors_checksum("", {"a": tensor.clone()})
    assert compute_tensors_checksum("", {"a": tensor}) != compute_tensors_checksum("", {"a": tensor + 1})
