"""The models of a ladder laid out for given images, and checked against each other before anything trains."""

from collections.abc import Mapping

from deepen.errors import InputError
from deepen.layers import Layer, identity_faults, plan, tensor_shapes
from deepen.settings import SCRATCH, Settings
from deepen.transfer import RoleMapping, map_roles, violations

Plans = dict[str, tuple[Layer, ...]]


def plan_ladder(settings: Settings, image: tuple[int, int, int], classes: int) -> Plans:
    """The layers of every model for images (channels, height, width); raises InputError with the faults of all models.

    A fault is a network that the images are too small for, a transfer that is not total, or an identity that can't be.
    """
    plans: Plans = {}
    faults: list[str] = []
    for name, model in settings.models.items():
        try:
            plans[name] = plan(model.layers, width=settings.width, image=image, classes=classes, norm=model.norm)
        except InputError as error:
            faults += [f"params.yaml: models.{name}.layers: {fault}" for fault in error.faults]
    for name, model in settings.models.items():
        if name not in plans or model.after not in {*plans, SCRATCH}:
            continue
        mapping = role_mapping(settings, name, plans)
        found = violations(source_shapes(settings, name, plans), tensor_shapes(plans[name]), mapping)
        if settings.growth == "identity" and model.after != SCRATCH:
            found += identity_faults(plans[name], mapping.fresh)
        faults += [f"params.yaml: models.{name}: after {model.after}: {fault}" for fault in found]
    if faults:
        raise InputError(faults)
    return plans


def role_mapping(settings: Settings, name: str, plans: Plans) -> RoleMapping:
    """Which role of a model comes from which role of the one it grows from."""
    model = settings.models[name]
    return map_roles(
        source_shapes(settings, name, plans),
        tensor_shapes(plans[name]),
        copied=model.mapping,
        fresh=model.fresh,
        dropped=model.dropped,
    )


def source_shapes(settings: Settings, name: str, plans: Plans) -> Mapping[str, tuple[int, ...]]:
    """Shapes by state-dict key of the model that `name` grows from; `scratch` has none."""
    after = settings.models[name].after
    return {} if after == SCRATCH else tensor_shapes(plans[after])
