"""Images from their source to three files: train, validation, test."""

from pathlib import Path

from deepen.datasets import load_dataset
from deepen.datasets.split import hold_out
from deepen.settings import load_settings
from pipeline import BASE, run


def prepare() -> None:
    settings = load_settings()
    train, test = load_dataset(settings.dataset, BASE)
    train, validation = hold_out(train, settings.val_fraction, "validation")
    for name, images in (("train", train), ("validation", validation), ("test", test)):
        images.save(Path(f"data/{name}.safetensors"))
        print(f"{name}: {len(images)} images of shape {images.shape}, {len(images.classes)} classes")


if __name__ == "__main__":
    run(prepare)
