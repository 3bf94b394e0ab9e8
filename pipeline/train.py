"""One model, from where `transfer` starts it to its weights and its curves."""

import os
from dataclasses import asdict
from pathlib import Path

from deepen.augmentation import Augmentation
from deepen.device import choose_device, choose_dtype
from deepen.images import load_images
from deepen.progress import TrainingProgress
from deepen.settings import load_settings
from deepen.statistics import load_statistics
from deepen.training import Trainer, train
from deepen.weights import load_network, save_weights
from deepen.writing import write_json
from pipeline import run


def train_model(name: str) -> None:
    settings = load_settings()
    training = settings.training
    device = choose_device(settings.device, settings.threads)
    where = (
        f"{settings.threads} of {os.cpu_count()} CPU threads (threads in params.yaml)"
        if device.type == "cpu"
        else device
    )
    print(f"{name}: training on {where}", flush=True)
    card, network = load_network(Path(f"weights/init/{name}.safetensors"), training.dropout)
    trainer = Trainer(
        network,
        load_images(Path("data/train.safetensors")),
        load_statistics(Path("metrics/statistics.json")),
        Augmentation(settings.dataset.flip, settings.crop, training.color_shift),
        training,
        model=name,
        peak_lr=settings.peak_lr(name),
        epochs=settings.models[name].epochs,
        seed=settings.seed,
        device=device,
        dtype=choose_dtype(settings.precision, device),
    )
    with TrainingProgress(name, trainer.epochs, trainer.steps, trainer.batch_size) as progress:
        history = train(trainer, load_images(Path("data/validation.safetensors")), progress.callbacks)
    save_weights(Path(f"weights/{name}.safetensors"), network.state_dict(), card)
    write_json(Path(f"curves/{name}.json"), [asdict(epoch) for epoch in history])


if __name__ == "__main__":
    run(train_model)
