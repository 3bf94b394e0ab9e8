"""The models of a ladder laid out for given images, and checked against each other before anything trains."""

from collections.abc import Collection, Iterator, Mapping
from math import prod

from deepen.config.settings import Model, Settings
from deepen.core.errors import InputError
from deepen.core.names import SCRATCH
from deepen.growth.transfer import RoleMapping, map_roles, violations
from deepen.models.freezing import freezing_faults, frozen_roles
from deepen.models.layers import (
    Layer,
    Shape,
    freeze,
    identity_faults,
    plan,
    tensor_shapes,
    training_flops,
    weight_roles,
)

Plans = dict[str, tuple[Layer, ...]]


def plan_ladder(
    settings: Settings,
    image: tuple[int, int, int],
    classes: int,
    starts: Mapping[str, Mapping[str, Shape]] | None = None,
) -> Plans:
    """The layers of every model for images (channels, height, width); raises InputError with the faults of all models.

    A fault is a network that the images are too small for, a norm of single values, a transfer that is not total, an
    identity that can't be, or a frozen layer that is unknown or fresh.
    `starts` gives, by model, the shapes by key in the file that it starts from; where it gives none, the model is not
    held against its file, which is taken to have all layers that are not listed as fresh.
    """
    plans, faults = _lay_out(settings, image, classes)
    sources = {
        name: (starts or {}).get(name) if model.start else _shapes(model.after, plans)
        for name, model in settings.models.items()
    }
    for name, layers in plans.items():
        found = _transfer_faults(settings, settings.models[name], sources[name], layers)
        faults += [f"params.yaml: models.{name}{fault}" for fault in found]
    if faults:
        raise InputError(faults)
    return {name: _with_frozen(settings.models[name], sources[name], layers) for name, layers in plans.items()}


def _lay_out(settings: Settings, image: tuple[int, int, int], classes: int) -> tuple[Plans, list[str]]:
    """The layers of the models that can be, and what is wrong with the others and with norms."""
    plans: Plans = {}
    faults: list[str] = []
    for name, model in settings.models.items():
        try:
            width = settings.network_width
            plans[name] = plan(model.layers, width=width, image=image, classes=classes, norm=model.norm)
        except InputError as error:
            faults += [f"params.yaml: models.{name}.layers: {fault}" for fault in error.faults]
    faults += [f"params.yaml: {fault}" for name in plans for fault in _norm_faults(settings, name, plans[name])]
    return plans, faults


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
    settings: Settings, model: Model, source: Mapping[str, Shape] | None, layers: tuple[Layer, ...]
) -> Iterator[str]:
    """What is wrong with how a model starts, and with what of that is frozen; each opens with the key."""
    if source is not None:
        mapping = role_mapping(model, source, tensor_shapes(layers))
        found = violations(source, tensor_shapes(layers), mapping)
        if settings.growth == "identity" and model.after != SCRATCH:
            found += identity_faults(layers, mapping.fresh)
        if found and model.start and settings.network_width != 1:
            width = settings.network_width
            found.append(f"width is {width}, which multiplies channels; an imported network takes width: 1.0")
        origin = f"start {model.start}" if model.start else f"after {model.after}"
        yield from (f": {origin}: {fault}" for fault in found)
    copied = _copied(model, source, layers)
    yield from (f".frozen: {fault}" for fault in freezing_faults(model.frozen, layers, copied))


def _with_frozen(model: Model, source: Mapping[str, Shape] | None, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return freeze(layers, frozen_roles(model.frozen, layers, _copied(model, source, layers)))


def _copied(model: Model, source: Mapping[str, Shape] | None, layers: tuple[Layer, ...]) -> Collection[str]:
    """The roles that a model has from what it starts from."""
    if source is None:
        return [role for role in weight_roles(layers) if role not in model.fresh]
    return role_mapping(model, source, tensor_shapes(layers)).copied


def work_to_follow(settings: Settings, name: str, image: tuple[int, int, int], classes: int, images: int) -> float:
    """How many times the operations of a model's training, on so many images, all take that grow from it."""
    plans = plan_ladder(settings, image, classes)

    def work(model: str) -> float:
        return training_flops(plans[model]) * settings.epochs(model, images)

    return sum(work(model) for model in settings.models if name in settings.ancestors(model)) / work(name)


def role_mapping(model: Model, source: Mapping[str, Shape], target: Mapping[str, Shape]) -> RoleMapping:
    """Which role of a model comes from which role of what it starts from; both are shapes by state-dict key."""
    return map_roles(source, target, copied=model.mapping, fresh=model.fresh, dropped=model.dropped)
