"""The images of the studies: none are held out for validation, by which they choose nothing, and val/ is not used."""

import os
from pathlib import Path

from deepen.datasets import load_dataset
from deepen.settings import load_settings
from pipeline import run
from study.settings import load_studies


def prepare() -> None:
    settings = load_settings()
    project = Path(os.environ.get("DVC_ROOT", "study")).parent  # where relative paths in its params.yaml start
    data = Path("study/data")
    parts = load_dataset(settings.datasets[load_studies(settings).data], project, data)
    for name in ("train", "test"):
        images = parts.images[name]
        images.save(data / f"{name}.safetensors")
        print(f"{name}: {len(images)} images of shape {images.shape}, {parts.origins[name]}")


if __name__ == "__main__":
    run(prepare)
