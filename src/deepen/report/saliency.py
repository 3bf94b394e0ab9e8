"""The section of the page with the saliency maps of test images."""

from collections.abc import Sequence
from typing import Any

from deepen.data.images import ImageSet
from deepen.records.record import Record
from deepen.report.data_urls import encode_image


def list_saliency_rows(tiles: ImageSet | None, models: Sequence[Record]) -> list[dict[str, Any]]:
    """Return a row for each image of `tiles`: the image, then a map of each model (one if both are the same)."""
    if tiles is None or not len(tiles):
        return []
    names = list(dict.fromkeys(record.model for record in models))
    step = 1 + len(names)
    urls, labels = [encode_image(tile) for tile in tiles.images], [tiles.classes[label] for label in tiles.labels]
    return [
        {
            "name": tiles.get_file_name(start),
            "ratio": f"{tiles.shape[2]} / {tiles.shape[1]}",
            "actual": labels[start],
            "source": urls[start],
            "alternative": f"{tiles.get_file_name(start)}, of {labels[start]}",
            "maps": [
                {
                    "model": name,
                    "predicted": labels[start + place],
                    "source": urls[start + place],
                    "alternative": f"Saliency map of {name} for {tiles.get_file_name(start)}, "
                    f"which it predicts as {labels[start + place]}",
                }
                for place, name in enumerate(names, 1)
            ],
        }
        for start in range(0, len(tiles), step)
    ]
