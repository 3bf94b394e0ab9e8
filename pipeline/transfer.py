"""Where a model starts: the weights of the one it grows from, and fresh layers."""

from pathlib import Path

from deepen.growth import he_start, start
from deepen.images import describe_images
from deepen.ladder import plan_ladder
from deepen.settings import load_settings
from deepen.starts import start_shapes
from deepen.statistics import load_statistics
from deepen.transfer_report import as_metrics, as_table
from deepen.weights import ModelCard, load_state, load_weights, save_weights
from deepen.writing import write_json
from pipeline import BASE, run


def transfer_to(name: str) -> None:
    settings = load_settings()
    image, classes = describe_images(Path("data/train.safetensors"))
    seen, model = settings.seen(image), settings.models[name]
    plans = plan_ladder(settings, seen, len(classes), start_shapes({name: model}, BASE))
    if model.start:
        _, source = load_weights(BASE / model.start)
    else:
        source = load_state(Path(f"weights/{model.after}.safetensors"))
    state, report = start(settings, name, plans, source, he_start(plans[name], seed=settings.seed, model=name))
    card = ModelCard(
        model=name,
        layers=model.layers,
        norm=model.norm,
        width=settings.width,
        image=seen,
        stored=image[1:] if image != seen else None,
        classes=classes,
        mean=load_statistics(Path("metrics/statistics.json")).mean,
        flip=settings.dataset.flip,
    )
    save_weights(Path(f"weights/init/{name}.safetensors"), state, card)
    origin = {"start": [model.start]} if model.start else {}
    write_json(Path(f"metrics/transfer/{name}.json"), origin | as_metrics(report))
    print(f"{name} starts from {model.start or model.after}\n{as_table(report)}")


if __name__ == "__main__":
    run(transfer_to)
