"""The models of a ladder laid out for given images, and checked against each other before anything trains."""

from collections.abc import Iterator, Mapping
from math import prod

from deepen.errors import InputError
from deepen.layers import Layer, Shape, identity_faults, plan, tensor_shapes, training_flops
from deepen.settings import SCRATCH, Model, Settings
from deepen.transfer import RoleMapping, map_roles, violations

Plans = dict[str, tuple[Layer, ...]]


def plan_ladder(
    settings: Settings,
    image: tuple[int, int, int],
    classes: int,
    starts: Mapping[str, Mapping[str, Shape]] | None = None,
) -> Plans:
    """The layers of every model for images (channels, height, width); raises InputError with the faults of all models.

    A fault is a network that the images are too small for, a norm of single values, a transfer that is not total, or an
    identity that can't be.
    `starts` gives, by model, the shapes by key in the file that it starts from; where it gives none, the model is not
    held against its file.
    """
    starts = starts or {}
    plans: Plans = {}
    faults: list[str] = []
    for name, model in settings.models.items():
        try:
            width = settings.network_width
            plans[name] = plan(model.layers, width=width, image=image, classes=classes, norm=model.norm)
        except InputError as error:
            faults += [f"params.yaml: models.{name}.layers: {fault}" for fault in error.faults]
    faults += [f"params.yaml: {fault}" for name in plans for fault in _norm_faults(settings, name, plans[name])]
    for name, model in settings.models.items():
        source = starts.get(name) if model.start else _shapes(model.after, plans)
        if name in plans and source is not None:
            origin = f"start {model.start}" if model.start else f"after {model.after}"
            found = _transfer_faults(settings, model, source, plans[name])
            faults += [f"params.yaml: models.{name}: {origin}: {fault}" for fault in found]
    if faults:
        raise InputError(faults)
    return plans


def _norm_faults(settings: Settings, name: str, layers: tuple[Layer, ...]) -> Iterator[str]:
    """Batch normalization of one value a channel would make it 0, whatever it is."""
    alone = [layer.role for layer in layers if layer.kind == "norm" and prod(layer.outputs[1:]) == 1]
    if alone and settings.training.batch_size == 1:
        yield (
            f"recipes.{settings.recipe}.training.batch_size: 1 leaves {alone[0]} of {name} one value a channel, and "
            f"batch normalization needs two or more; write at least batch_size: 2, or models.{name}.norm: none"
        )


def _shapes(name: str, plans: Plans) -> Mapping[str, Shape] | None:
    """By state-dict key; `scratch` has none, and None where the model has no plan."""
    return {} if name == SCRATCH else tensor_shapes(plans[name]) if name in plans else None


def _transfer_faults(
    settings: Settings, model: Model, source: Mapping[str, Shape], layers: tuple[Layer, ...]
) -> list[str]:
    mapping = role_mapping(model, source, tensor_shapes(layers))
    found = violations(source, tensor_shapes(layers), mapping)
    if settings.growth == "identity" and model.after != SCRATCH:
        found += identity_faults(layers, mapping.fresh)
    if found and model.start and settings.network_width != 1:
        width = settings.network_width
        found.append(f"width is {width}, which multiplies channels; an imported network takes width: 1.0")
    return found


def work_to_follow(settings: Settings, name: str, image: tuple[int, int, int], classes: int, images: int) -> float:
    """How many times the operations of a model's training, on so many images, all take that grow from it."""

    def work(model: str) -> float:
        layers, norm = settings.models[model].layers, settings.models[model].norm
        laid_out = plan(layers, width=settings.network_width, image=image, classes=classes, norm=norm)
        return training_flops(laid_out) * settings.epochs(model, images)

    return sum(work(model) for model in settings.models if name in settings.ancestors(model)) / work(name)


def role_mapping(model: Model, source: Mapping[str, Shape], target: Mapping[str, Shape]) -> RoleMapping:
    """Which role of a model comes from which role of what it starts from; both are shapes by state-dict key."""
    return map_roles(source, target, copied=model.mapping, fresh=model.fresh, dropped=model.dropped)
