"""The whole ladder against the images, before anything trains; and `scratch`, the empty network it starts from."""

import os

from safetensors.numpy import save_file

from deepen.capacity import memory_faults
from deepen.errors import InputError
from deepen.images import describe_images, load_images
from deepen.ladder import Plans, plan_ladder
from deepen.layers import parameters
from deepen.machine import check_threads, device_memory
from deepen.records import save_records
from deepen.settings import SCRATCH, Settings, load_settings
from deepen.starts import start_shapes
from deepen.writing import replacing
from pipeline import BASE, files, require_unchanged, run


def check() -> None:
    settings = load_settings()
    image, classes = describe_images(files.TRAIN)
    plans = plan_ladder(settings, settings.seen(image), len(classes), start_shapes(settings.models, BASE))
    if not os.environ.get("DEEPEN_LAUNCH"):  # else what trains is elsewhere, on parts of each batch
        _check_machine(settings, plans, len(load_images(files.TRAIN)))
    require_unchanged()
    with replacing(files.weights(SCRATCH)) as temporary:
        save_file({}, temporary)
    save_records(files.records(SCRATCH), [])
    sizes = [f"{name} ({parameters(layers):,} parameters)" for name, layers in plans.items()]
    shape = "x".join(map(str, image))
    print(f"{' to '.join(dict.fromkeys((sizes[0], sizes[-1])))}: fit images of {shape} in {len(classes)} classes")


def _check_machine(settings: Settings, plans: Plans, images: int) -> None:
    """Raise InputError where this machine can't train what is asked of it."""
    check_threads(settings.threads)
    if faults := memory_faults(settings, plans, images, device_memory(settings.device)):
        raise InputError(faults)


if __name__ == "__main__":
    run(check)
