"""Stage `saliency`: what the first and the last model of a ladder look at, in as many test images as `saliency` says.

The first model is the one from scratch that the model of `depth` grew from. Its weights are no dependency in dvc.yaml,
which can't name it; the records are one, and they have the checksum of its weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from deepen.config.settings import Settings, load_settings
from deepen.core.counts import pluralize
from deepen.data.images import ImageSet, load_images
from deepen.models.weights import ModelCard, read_weights_checksum
from deepen.records.record import Record, load_records
from deepen.saliency.choice import choose_rows
from deepen.saliency.packages import require_captum
from deepen.saliency.tiles import Explained, join_tiles
from pipeline.shared import files
from pipeline.shared.agreement import require_agreement
from pipeline.shared.stage import require_unchanged, run

if TYPE_CHECKING:
    from torch import Tensor


def explain() -> None:
    settings = load_settings()
    require_captum(settings.saliency)
    test, models = load_images(files.TEST), _load_first_and_last(settings.depth)
    rows = choose_rows(test.labels, settings.saliency)
    shown = replace(test.select(rows), origin=" ".join(model.weights for model in models))
    tiles = _draw(settings, models, shown, rows.tolist()) if len(rows) else shown
    require_unchanged()
    tiles.save(files.SALIENCY)
    names = " and ".join(model.model for model in models)
    shown_images = pluralize(len(rows), "test image") + (", which are all" if len(rows) < settings.saliency else "")
    print(f"maps of {names} for {shown_images}" if len(rows) else "saliency is 0: no maps")


def _load_first_and_last(depth: str) -> list[Record]:
    """Return the records of the model that `depth` names and of its first ancestor; of one model if it has none."""
    ladder = load_records(files.records(depth))
    last = ladder[-1].model if ladder else "none"
    require_agreement([("last model", (files.records(depth), last), (files.PARAMS, depth))])
    return [ladder[0], ladder[-1]] if len(ladder) > 1 else ladder


def _draw(settings: Settings, models: Sequence[Record], shown: ImageSet, rows: Sequence[int]) -> ImageSet:
    """Return the images, each followed by its maps; `rows` are their places in the test set."""
    import torch  # takes seconds

    from deepen.evaluation.views import Views

    centre = Views("centre", models[-1].image[1:]).centre(torch.from_numpy(shown.images))
    names = [shown.get_file_name(i) or f"test image {row}" for i, row in enumerate(rows)]
    return join_tiles(centre.numpy(), shown, names, [_explain(settings, model, shown, centre) for model in models])


def _explain(settings: Settings, record: Record, test: ImageSet, images: "Tensor") -> Explained:
    """Return a model's maps of images, and the classes that it predicts."""
    import torch

    from deepen.models.networks import load_network
    from deepen.runtime.device import choose_device, move_to_device, reraise_out_of_memory
    from deepen.saliency.maps import compute_maps

    device = choose_device(settings.device, settings.cpu_threads)
    card, network = load_network(files.weights(record.model))
    _require_agreement(record, card, test)
    with reraise_out_of_memory(f"computing maps of {record.model}", device, "write saliency: 0 or device: cpu"):
        return compute_maps(move_to_device(network, device), images.to(device), torch.tensor(card.mean, device=device))


def _require_agreement(record: Record, card: ModelCard, test: ImageSet) -> None:
    weights = files.weights(record.model)
    require_agreement(
        [
            (
                "checksum of the weights",
                (weights, read_weights_checksum(weights)),
                (files.records(record.model), record.weights),
            ),
            ("classes", (weights, card.classes), (files.TEST, test.classes)),
            ("image shape", (weights, card.prepared), (files.TEST, test.shape)),
        ]
    )


if __name__ == "__main__":
    run(explain)
