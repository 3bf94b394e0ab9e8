"""Where a model starts: the weights of the one it grows from, and fresh layers."""

from pathlib import Path

from deepen.growth import he_start, start
from deepen.images import describe_images
from deepen.ladder import plan_ladder
from deepen.settings import load_settings
from deepen.statistics import load_statistics
from deepen.transfer_report import as_metrics, as_table
from deepen.weights import ModelCard, load_state, save_weights
from deepen.writing import write_json
from pipeline import run


def transfer_to(name: str) -> None:
    settings = load_settings()
    image, classes = describe_images(Path("data/train.safetensors"))
    plans = plan_ladder(settings, image, len(classes))
    source = load_state(Path(f"weights/{settings.models[name].after}.safetensors"))
    state, report = start(settings, name, plans, source, he_start(plans[name], seed=settings.seed, model=name))
    card = ModelCard(
        model=name,
        layers=settings.models[name].layers,
        norm=settings.models[name].norm,
        width=settings.width,
        image=image,
        classes=classes,
        mean=load_statistics(Path("metrics/statistics.json")).mean,
        flip=settings.dataset.flip,
    )
    save_weights(Path(f"weights/init/{name}.safetensors"), state, card)
    write_json(Path(f"metrics/transfer/{name}.json"), as_metrics(report))
    print(as_table(report))


if __name__ == "__main__":
    run(transfer_to)
