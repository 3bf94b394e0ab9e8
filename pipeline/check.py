"""The whole ladder against the images, before anything trains; and `scratch`, the empty network it starts from."""

from safetensors.numpy import save_file
from tabulate import tabulate

from deepen.images import describe_images
from deepen.ladder import plan_ladder
from deepen.layers import parameters
from deepen.notation import weight_layers
from deepen.records import save_records
from deepen.settings import SCRATCH, load_settings
from deepen.starts import start_shapes
from deepen.writing import replacing
from pipeline import BASE, files, require_unchanged, run


def check() -> None:
    settings = load_settings()
    image, classes = describe_images(files.TRAIN)
    plans = plan_ladder(settings, settings.seen(image), len(classes), start_shapes(settings.models, BASE))
    require_unchanged()
    with replacing(files.weights(SCRATCH)) as temporary:
        save_file({}, temporary)
    save_records(files.records(SCRATCH), [])
    rows = [
        (name, model.after, weight_layers(model.layers), parameters(plans[name]))
        for name, model in settings.models.items()
    ]
    print(tabulate(rows, ["model", "after", "weight layers", "parameters"], intfmt=","))


if __name__ == "__main__":
    run(check)
