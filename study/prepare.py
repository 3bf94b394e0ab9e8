"""The study's training images, and the test images."""

from pathlib import Path

from deepen.datasets import load_dataset
from deepen.datasets.split import hold_out
from deepen.settings import load_settings
from pipeline import BASE, run
from study.settings import load_study


def prepare() -> None:
    settings = load_settings()
    study = load_study(settings)
    train, test = load_dataset(settings.datasets[study.data], BASE)
    if study.images < len(train):
        train, _ = hold_out(train, 1 - study.images / len(train), "the study")
    train.save(Path("study/data/train.safetensors"))
    test.save(Path("study/data/test.safetensors"))
    print(f"{len(train)} training and {len(test)} test images of shape {train.images.shape[1:]}")


if __name__ == "__main__":
    run(prepare)
