"""Stage of the studies: prepare train and test images; nothing is tuned, so none are held out and val/ is unused."""

from deepen.config.settings import load_settings
from deepen.core.counts import pluralize
from deepen.core.notes import print_warnings
from deepen.datasets import load_dataset
from deepen.datasets.source import require_same_source
from pipeline.shared.stage import require_unchanged, run
from study.settings import PROJECT, SOURCE, load_studies


def prepare() -> None:
    settings = load_settings()
    dataset = settings.datasets[load_studies(settings).data]
    parts = load_dataset(dataset, PROJECT, SOURCE.parent)
    require_unchanged()
    require_same_source(dataset, PROJECT, SOURCE)
    for name in ("train", "test"):
        images = parts.images[name]
        images.save(SOURCE.with_name(f"{name}.safetensors"))
        print(f"{name}: {pluralize(len(images), 'image')} of shape {images.shape}, {parts.origins[name]}")
    print_warnings(parts.warnings)


if __name__ == "__main__":
    run(prepare)
