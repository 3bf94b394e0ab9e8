"""Networks that no memory can hold are told before any is made."""

import pytest
from test_settings import GOOD, changed

from deepen.config.settings import check_settings
from deepen.growth import capacity
from deepen.growth.capacity import estimate_training_bytes, memory_faults
from deepen.growth.ladder import plan_ladder
from deepen.models.layers import count_parameters, plan

IMAGE = (3, 32, 32)


def faults(memory, images=50_000, **changes):
    settings = check_settings(changed(**changes))
    return memory_faults(settings, plan_ladder(settings, IMAGE, 10), images, memory)


def test_the_least_memory_of_a_training_step_is_counted():
    layers = plan("conv3-8 maxpool fc-4", width=1, image=(3, 4, 4), classes=2)
    weights = (8 * 27 + 8) + (4 * 32 + 4) + (2 * 4 + 2)
    assert count_parameters(layers) == weights
    assert estimate_training_bytes(layers, 10) == 12 * weights + 2 * 10 * (8 * 16 + 8 * 4 + 4 + 2)


def test_the_weights_of_the_best_epoch_are_counted_with_patience():
    layers = plan("conv3-8 maxpool fc-4", width=1, image=(3, 4, 4), classes=2)
    more = estimate_training_bytes(layers, 10, best=True) - estimate_training_bytes(layers, 10)
    assert more == 4 * count_parameters(layers)
    memory = estimate_training_bytes(plan(GOOD["models"]["III"]["layers"], width=4.0, image=IMAGE, classes=10), 128)
    assert faults(memory, width=4.0) == []
    [fault] = faults(memory, width=4.0, recipes__onecycle__training__patience=5)
    assert "width: 4 gives III" in fault
    assert fault.endswith("set for example width: 2")


def test_networks_that_fit_in_memory_have_no_fault():
    assert faults(8 * 10**9) == []


def test_the_fault_has_parameters_memory_and_a_width_that_fits():
    found = faults(16 * 10**9, width=64.0)
    assert [line.partition(" gives ")[2].split()[0] for line in found] == ["I", "II", "III"]
    assert found[2] == (
        "params.yaml: width: 64 gives III 95,430,049,802 parameters, and training with batches of 128 images needs at least "
        "1,154 GB, more than the 16 GB of this device; set for example width: 4"
    )
    assert faults(16 * 10**9, width=4.0) == []  # and that does it
    assert faults(16 * 10**9, width=8.0) != []


def test_half_the_width_is_suggested_where_that_is_enough():
    needed = estimate_training_bytes(plan_ladder(check_settings(changed(width=2.0)), IMAGE, 10)["III"], 128)
    assert faults(needed, width=2.0) == []  # exactly as much as there is
    assert faults(needed, width=4.0)[-1].endswith("set for example width: 2")
    assert faults(needed - 1, width=4.0)[-1].endswith("set for example width: 1")


@pytest.mark.parametrize(
    ("size", "text"),
    [(15 * 10**8, "1.5 GB"), (16 * 10**9, "16 GB"), (10**12, "1,000 GB"), (1_154_000_000_000, "1,154 GB")],
)
def test_memory_is_written_in_gigabytes_without_an_exponent(size, text):
    assert capacity._format_gigabytes(size) == text


def test_a_smaller_batch_is_suggested_where_no_width_fits():
    [*_, last] = faults(10**9, recipes__onecycle__training__batch_size=1_000_000, images=10**6)
    assert last.endswith("set a smaller batch_size")
    assert faults(10**9, recipes__onecycle__training__batch_size=1_000_000, images=100) == []  # so many are one batch


@pytest.mark.parametrize(("batch", "told"), [(1, 1), (2, 0)])
def test_the_memory_of_one_image_is_less_than_that_of_two(batch, told):
    layers = plan_ladder(check_settings(changed()), IMAGE, 10)["III"]
    between = estimate_training_bytes(layers, 2) - 1
    assert bool(faults(between, recipes__onecycle__training__batch_size=batch)) == (batch > 1) != bool(told)
