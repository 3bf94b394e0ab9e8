"""Plan the models of a ladder for given images, and validate all transfers before training."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import prod

from deepen.config.settings import Model, Settings
from deepen.core.errors import InputError
from deepen.core.names import SCRATCH
from deepen.growth.identity import find_identity_faults, find_pool_faults
from deepen.growth.transfer import RoleMapping, find_violations, map_roles
from deepen.models.freezing import find_freezing_faults, resolve_frozen_roles
from deepen.models.layers import (
    Layer,
    Shape,
    count_training_flops,
    freeze,
    list_tensor_shapes,
    list_weight_roles,
    plan,
)

Plans = dict[str, tuple[Layer, ...]]


def plan_ladder(
    settings: Settings,
    image: tuple[int, int, int],
    classes: int,
    starts: Mapping[str, Mapping[str, Shape]] | None = None,
) -> Plans:
    """Plan the layers of every model for images (channels, height, width); raises InputError with all faults.

    Faults are images too small for a network, a norm over single values, a transfer that is not total, an impossible
    identity, and a frozen layer that is unknown or fresh. `starts` has, by model, the shapes by key of the file it
    starts from. A model without them is not checked against its file, which is assumed to have all layers not listed as
    fresh.
    """
    plans, faults = _lay_out(settings, image, classes)
    sources = {
        name: (starts or {}).get(name) if model.start else _source_shapes(model.after, plans)
        for name, model in settings.models.items()
    }
    for name, layers in plans.items():
        model = settings.models[name]
        transfer_faults = _transfer_faults(settings, model, sources[name], plans.get(model.after, ()), layers)
        faults += [f"params.yaml: models.{name}{fault}" for fault in transfer_faults]
    if faults:
        raise InputError(faults)
    return {name: _mark_frozen(settings.models[name], sources[name], layers) for name, layers in plans.items()}


def _lay_out(settings: Settings, image: tuple[int, int, int], classes: int) -> tuple[Plans, list[str]]:
    """Return the plans of the valid models, and the faults of the others and of norms."""
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
    """Yield a fault for batch normalization over a single value a channel, which is always 0."""
    alone = [layer.role for layer in layers if layer.kind == "norm" and prod(layer.outputs[1:]) == 1]
    if alone and settings.training.batch_size == 1:
        yield (
            f"recipes.{settings.recipe}.training.batch_size: 1 leaves {alone[0]} of {name} one value a channel, but "
            f"batch normalization needs at least two; set batch_size: 2 or more, or models.{name}.norm: none"
        )


def _source_shapes(name: str, plans: Plans) -> Mapping[str, Shape] | None:
    """Return the shapes of a model by state-dict key; none for `scratch`, and None for a model without a plan."""
    return {} if name == SCRATCH else list_tensor_shapes(plans[name]) if name in plans else None


def _transfer_faults(
    settings: Settings,
    model: Model,
    source: Mapping[str, Shape] | None,
    before: Sequence[Layer],
    layers: tuple[Layer, ...],
) -> Iterator[str]:
    """Yield the faults of the transfer to a model and of its frozen layers; each starts with the key.

    `before` are the layers of the model that it grows from, if any.
    """
    if source is not None:
        mapping = build_role_mapping(model, source, list_tensor_shapes(layers))
        violations = find_violations(source, list_tensor_shapes(layers), mapping)
        if settings.growth == "identity" and model.after != SCRATCH:
            violations += find_identity_faults(layers, mapping.fresh) + find_pool_faults(before, layers)
        if violations and model.start and settings.network_width != 1:
            width = settings.network_width
            violations.append(f"width is {width}, which multiplies channels; an imported network takes width: 1.0")
        origin = f"start {model.start}" if model.start else f"after {model.after}"
        yield from (f": {origin}: {fault}" for fault in violations)
    copied = _find_copied_roles(model, source, layers)
    yield from (f".frozen: {fault}" for fault in find_freezing_faults(model.frozen, layers, copied))


def _mark_frozen(model: Model, source: Mapping[str, Shape] | None, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return freeze(layers, resolve_frozen_roles(model.frozen, layers, _find_copied_roles(model, source, layers)))


def _find_copied_roles(model: Model, source: Mapping[str, Shape] | None, layers: tuple[Layer, ...]) -> Collection[str]:
    """Return the roles that a model copies from its source."""
    if source is None:
        return [role for role in list_weight_roles(layers) if role not in model.fresh]
    return build_role_mapping(model, source, list_tensor_shapes(layers)).copied


def estimate_remaining_work(
    settings: Settings, name: str, image: tuple[int, int, int], classes: int, images: int
) -> float:
    """Return the training operations of all models that grow from a model, in multiples of its own."""
    plans = plan_ladder(settings, image, classes)

    def work(model: str) -> float:
        return count_training_flops(plans[model]) * settings.epochs(model, images)

    return sum(work(model) for model in settings.models if name in settings.ancestors(model)) / work(name)


def build_role_mapping(model: Model, source: Mapping[str, Shape], target: Mapping[str, Shape]) -> RoleMapping:
    """Map the roles of a model to those of its source; both are shapes by state-dict key."""
    return map_roles(source, target, copied=model.mapping, fresh=model.fresh, dropped=model.dropped)
