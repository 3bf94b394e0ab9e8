"""What `deepen init` prints: the images, and what will run and for how long."""

from collections.abc import Mapping
from pathlib import Path

from deepen.config.dataset_settings import Folder
from deepen.config.settings import Settings
from deepen.core.counts import pluralize
from deepen.core.durations import format_rough_duration
from deepen.core.errors import quote, trim
from deepen.project.estimate import Estimate, estimate_run
from deepen.project.survey import Survey

_NARROW, _LONG = 0.25, 600  # a width for CPUs, and the seconds of a run after which it is suggested


def describe_images(root: Path, survey: Survey) -> str:
    """Return one sentence on the images: their number, classes, sizes and colours."""
    classes = [f"{quote(name)} {count:,}" for name, count in survey.count_by_class().items()]
    (low_h, low_w), (high_h, high_w) = min(survey.sizes), max(survey.sizes)
    size = f"{low_w}x{low_h}" if len(survey.sizes) == 1 else f"from {low_w}x{low_h} to {high_w}x{high_h}"
    some = f" (of {survey.measured:,} of them)" if survey.measured < survey.images else ""
    colours = "grey" if survey.is_grey else "colour"
    parts = ", ".join(f"{part} {sum(counts.values()):,}" for part, counts in survey.parts.items())
    return (
        f"{quote(root)}: {pluralize(survey.images, f'{colours} image')} ({parts}), {size} pixels{some}, in "
        f"{len(classes)} classes: {', '.join(trim(classes))}"
    )


def describe_run(settings: Settings, survey: Survey) -> str:
    """Return what will run and for how long; raises InputError if the models can't take the images."""
    image, parts = _get_shape(settings, survey), survey.split(settings.val_fraction)
    pixels = sum(h * w * count for (h, w), count in survey.sizes.items()) / survey.measured * survey.images

    def estimate(settings: Settings) -> Estimate:
        return estimate_run(settings, image, len(survey.parts["train"]), parts, pixels)

    run = estimate(settings)
    shape = "x".join(map(str, settings.view_shape(image)))
    text = (
        f"dvc repro will train {_describe_epochs(run.epochs)}, on {pluralize(parts['train'], 'image')} of {shape}, "
        f"and test each on {parts['test']:,}: about {format_rough_duration(run.seconds)} on this machine when idle "
        f"({run.device})"
    )
    if run.device == "cpu" and run.seconds > _LONG and settings.network_width > _NARROW:
        narrow = estimate(settings.model_copy(update={"width": _NARROW}))
        text += f"; with width: {_NARROW} in params.yaml about {format_rough_duration(narrow.seconds)}"
    return text


def _describe_epochs(epochs: Mapping[str, int]) -> str:
    """Return for example `I and II for 3 epochs each, III for 12 epochs`."""
    models: dict[int, list[str]] = {}
    for name, count in epochs.items():
        models.setdefault(count, []).append(name)
    return ", ".join(
        f"{', '.join(trim(names))} for {pluralize(count, 'epoch')}" + " each" * (len(names) > 1)
        for count, names in models.items()
    )


def _get_shape(settings: Settings, survey: Survey) -> tuple[int, int, int]:
    assert isinstance(settings.dataset, Folder)
    channels, side = 1 if survey.is_grey else 3, settings.dataset.size
    height, width = next(iter(survey.sizes)) if side is None else (side, side)
    return channels, height, width
