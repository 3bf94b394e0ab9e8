"""The whole ladder against the images, before anything trains; and `scratch`, the empty network it starts from."""

import os

from safetensors.numpy import save_file
from tabulate import tabulate

from deepen.capacity import memory_faults
from deepen.device import check_threads, find_device
from deepen.errors import InputError
from deepen.images import describe_images, load_images
from deepen.ladder import Plans, plan_ladder
from deepen.layers import parameters
from deepen.mapped import memory
from deepen.notation import weight_layers
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
    rows = [
        (name, model.after, weight_layers(model.layers), parameters(plans[name]))
        for name, model in settings.models.items()
    ]
    print(tabulate(rows, ["model", "after", "weight layers", "parameters"], intfmt=","))


def _check_machine(settings: Settings, plans: Plans, images: int) -> None:
    """Raise InputError where this machine can't train what is asked of it."""
    check_threads(settings.threads)
    if faults := memory_faults(settings, plans, images, memory(find_device(settings.device))):
        raise InputError(faults)


if __name__ == "__main__":
    run(check)
