"""Counts in the messages for people."""

import pytest
import torch

from deepen.convert.state_dicts import precision_notes
from deepen.core.counts import pluralize
from deepen.records.transfer_report import TensorTransfer, TransferReport, format_report


@pytest.mark.parametrize(
    ("count", "what", "told"),
    [
        (0, "step", "0 steps"),
        (1, "image", "1 image"),
        (2000, "test image", "2,000 test images"),
        (1, "class", "1 class"),
        (2, "process", "2 processes"),
    ],
)
def test_one_thing_is_singular(count, what, told):
    assert pluralize(count, what) == told


def test_messages_about_one_thing_are_singular():
    (told,) = precision_notes({"x": torch.zeros(1, dtype=torch.float16)})
    assert told == "1 tensor of torch.float16, converted to torch.float32"
    report = TransferReport((TensorTransfer("fresh", None, "head.weight", (2, 2), "random"),))
    assert format_report(report) == "1 tensor new (random)"
