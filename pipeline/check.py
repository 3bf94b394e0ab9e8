"""Stage `check`: validate the ladder against the images and the machine; write `scratch`, the empty network."""

import os
import sys
from collections.abc import Iterator

from safetensors.numpy import save_file

from deepen.config.automatic import FEW_STEPS
from deepen.config.settings import Settings, load_settings
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, trim
from deepen.core.files import write_atomically
from deepen.core.names import SCRATCH
from deepen.data.images import load_images
from deepen.growth.capacity import memory_faults
from deepen.growth.ladder import Plans, plan_ladder
from deepen.growth.pretrained import read_start_shapes
from deepen.models.layers import count_parameters
from deepen.records.record import save_records
from deepen.runtime.machine import check_threads, get_device_memory
from deepen.saliency.packages import require_captum
from deepen.tracking.packages import require_packages
from pipeline.shared import files
from pipeline.shared.stage import BASE, require_unchanged, run


def check() -> None:
    settings = load_settings()
    require_packages(settings.tracking)
    require_captum(settings.saliency)
    train = load_images(files.TRAIN)
    image, classes, images = train.shape, train.classes, len(train)
    plans = plan_ladder(settings, settings.view_shape(image), len(classes), read_start_shapes(settings.models, BASE))
    if not os.environ.get("DEEPEN_LAUNCH"):  # with it, training may run on other machines and splits each batch
        _check_machine(settings, plans, images)
    require_unchanged()
    with write_atomically(files.weights(SCRATCH)) as temporary:
        save_file({}, temporary)
    save_records(files.records(SCRATCH), [])
    shape = "x".join(map(str, image))
    print(f"images of {shape} in {len(classes)} classes, {pluralize(settings.batch_size(images), 'image')} per step")
    print("; ".join(_describe_first_and_last(settings, plans, images)))
    if settings.tracking != "none":
        print(f"tracking: {settings.tracking}; stages that are up to date, or restored from DVC's cache, log nothing")
    if warning := _warn_of_few_steps(settings, images):
        print(f"warning: {warning}", file=sys.stderr)


def _describe_first_and_last(settings: Settings, plans: Plans, images: int) -> Iterator[str]:
    """Yield the parameters and steps of the first model and of the last."""
    for name in dict.fromkeys((next(iter(plans)), next(reversed(plans)))):
        yield f"{name}: {count_parameters(plans[name]):,} parameters, {pluralize(settings.steps(name, images), 'step')}"


def _warn_of_few_steps(settings: Settings, images: int) -> str:
    """Return one warning that names all models that may learn little, in however good a setting; else empty."""
    few = [name for name in settings.models if settings.steps(name, images) < FEW_STEPS]
    if not few:
        return ""
    least, most = (of(settings.steps(name, images) for name in few) for of in (min, max))
    steps = pluralize(most, "step") if least == most else f"{least} to {pluralize(most, 'step')}"
    enough = -(-FEW_STEPS // (images // settings.batch_size(images)))
    setting = f"models.{few[0]}.epochs: {enough} or more" + (", and so on" if len(few) > 1 else "")
    return (
        f"{', '.join(trim(few))} {'train' if len(few) > 1 else 'trains'} for {steps}, and in fewer than {FEW_STEPS} "
        f"a network may learn little; write {setting}, or add images"
    )


def _check_machine(settings: Settings, plans: Plans, images: int) -> None:
    """Raise InputError if this machine lacks the threads or the memory for this ladder."""
    check_threads(settings.cpu_threads)
    if faults := memory_faults(settings, plans, images, get_device_memory(settings.device)):
        raise InputError(faults)


if __name__ == "__main__":
    run(check)
