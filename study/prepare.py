"""The images of the studies, validation left among the training images: the studies choose nothing by it."""

import os
from pathlib import Path

from deepen.datasets import load_dataset
from deepen.settings import load_settings
from pipeline import require_unchanged, run
from study.settings import load_studies


def prepare() -> None:
    settings = load_settings()
    project = Path(os.environ.get("DVC_ROOT", "study")).parent  # where relative paths in its params.yaml start
    data = Path("study/data")
    train, test = load_dataset(settings.datasets[load_studies(settings).data], project, data)
    require_unchanged()
    train.save(data / "train.safetensors")
    test.save(data / "test.safetensors")
    print(f"{len(train)} training and {len(test)} test images of shape {train.shape}")


if __name__ == "__main__":
    run(prepare)
