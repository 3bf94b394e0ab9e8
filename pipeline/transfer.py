"""Stage `transfer`: write a model's initial weights, copied from the model it grows from or fresh."""

from deepen.config.settings import Model, Settings, load_settings
from deepen.core.counts import pluralize
from deepen.core.names import SCRATCH
from deepen.data.images import ImageSet, load_images
from deepen.data.statistics import load_statistics
from deepen.growth.initialization import draw_fresh_weights, initialize_model
from deepen.growth.ladder import plan_ladder
from deepen.growth.pretrained import read_start_shapes
from deepen.models.tensors import State
from deepen.models.weights import ModelCard, load_weights, read_weights_checksum, save_weights
from deepen.records.transfer_report import format_report, save_transfer
from pipeline.shared import files
from pipeline.shared.agreement import compare_statistics, require_agreement
from pipeline.shared.stage import BASE, require_unchanged, run


def transfer_to(name: str) -> None:
    settings = load_settings()
    settings.require_model(name)
    images, statistics = load_images(files.TRAIN), load_statistics(files.STATISTICS)
    image, classes = images.shape, images.classes
    require_agreement(compare_statistics(files.STATISTICS, statistics, files.TRAIN, images))
    seen, model = settings.view_shape(image), settings.models[name]
    plans = plan_ladder(settings, seen, len(classes), read_start_shapes({name: model}, BASE))
    source, grown_from = _load_source(model, images, settings)
    fresh = draw_fresh_weights(plans[name], statistics.patch_covariance, seed=settings.seed, model=name)
    state, report = initialize_model(settings, name, plans, source, fresh)
    card = ModelCard(
        model=name,
        layers=model.layers,
        norm=model.norm,
        width=settings.network_width,
        image=seen,
        stored=image[1:] if image != seen else None,
        classes=classes,
        mean=statistics.mean,
        flip=settings.dataset.flip,
        grown_from=grown_from,
        frozen=tuple(layer.role for layer in plans[name] if layer.frozen) or None,
    )
    require_unchanged()
    weights = save_weights(files.init(name), state, card)
    save_transfer(files.transfer(name), report, weights, model.start)
    frozen = f", {pluralize(len(card.frozen), 'layer')} frozen" if card.frozen else ""
    print(f"{name} from {model.start or model.after}: {format_report(report)}{frozen}")


def _load_source(model: Model, images: ImageSet, settings: Settings) -> tuple[State, str | None]:
    """Load the tensors to copy from, and the checksum of the weights that the model grows from."""
    if model.start:
        return load_weights(BASE / model.start)[1], None
    if model.after == SCRATCH:
        return {}, None
    path = files.weights(model.after)
    card, source = load_weights(path)
    require_agreement(
        [
            ("model", (path, card.model), (files.PARAMS, model.after)),
            ("classes", (path, card.classes), (files.TRAIN, images.classes)),
            ("image shape", (path, card.prepared), (files.TRAIN, images.shape)),
            ("input shape", (path, card.image), (files.PARAMS, settings.view_shape(images.shape))),
        ]
    )
    return source, read_weights_checksum(path)


if __name__ == "__main__":
    run(transfer_to)
