"""Small sets of photos: the ladder with the settings that follow from the images, and with a hand-made grid of others.

Sets of 200 to 5,000 images are cut out of a folder of images or drawn, written as a folder, and read as people's own
are. Each run is a line of a file, and a run that has its line is not done again.
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.drawn_photos import draw_photos
from benchmarks.measure import RESULTS, report
from deepen.accuracy import evaluate
from deepen.augmentation import Augmentation
from deepen.datasets import load_dataset
from deepen.device import choose_device, choose_dtype
from deepen.growth import he_start, start
from deepen.images import ImageSet
from deepen.ladder import plan_ladder
from deepen.settings import SCRATCH, Settings, check_settings
from deepen.statistics import compute_statistics
from deepen.trainer import Trainer
from deepen.vgg import network
from deepen.yaml_reading import read_yaml

WIDTH, SIZE, THREADS, SEEDS = 0.0625, 32, 1, 3
BATCHES, RATES = (16, 32, 64), (0.015, 0.03)  # of the grid, with the steps of each set
TEST = 1500  # images of all classes together


@dataclass(frozen=True)
class PhotoSet:
    """So many training images of so many classes; of unequal ones the second has half as many as the first, and so on.

    `steps` are those of the grid. What is not `drawn` is cut out of the folder of images.
    """

    name: str
    images: int
    classes: int
    unequal: bool
    steps: tuple[int, int]
    drawn: bool = False

    def counts(self) -> list[int]:
        """Training images of each class."""
        weights = [1 / (i + 1) if self.unequal else 1.0 for i in range(self.classes)]
        return [round(self.images * weight / sum(weights)) for weight in weights]


SETS = (
    PhotoSet("200 drawn", 200, 3, True, (150, 500), drawn=True),
    PhotoSet("600", 600, 5, False, (200, 600)),
    PhotoSet("2,000", 2000, 6, True, (300, 900)),
    PhotoSet("5,000", 5000, 10, False, (300, 900)),
    PhotoSet("200", 200, 4, False, (150, 500)),
)


@dataclass(frozen=True)
class Setting:
    """What a run is made with: images a step, steps of each model, peak learning rate; None for `auto`."""

    batch_size: int | None = None
    steps: int | None = None
    lr: float | None = None


GRID = {each.name: [Setting(*found) for found in product(BATCHES, each.steps, RATES)] for each in SETS}


def settings_for(setting: Setting, seed: int, images: int) -> Settings:
    """The settings of params.yaml for a folder of photos, with those of a run."""
    content: Any = read_yaml(Path("params.yaml"))
    content |= {"data": "folder", "width": WIDTH, "seed": seed, "threads": THREADS, "device": "cpu"}
    if setting.batch_size and setting.steps and setting.lr:
        content["recipes"][content["recipe"]]["training"]["batch_size"] = setting.batch_size
        epochs = -(-setting.steps // (images // setting.batch_size))
        content |= {"lr": setting.lr, "models": {n: m | {"epochs": epochs} for n, m in content["models"].items()}}
    return check_settings(content)


def train_ladder(settings: Settings, images: ImageSet, test: ImageSet) -> dict[str, Any]:
    """Train each model from the one before; returns top-1 (percent), steps and epochs by model, and seconds."""
    begin, training = time.perf_counter(), settings.training
    plans = plan_ladder(settings, settings.seen(images.shape), len(images.classes))
    device, augmentation = choose_device("cpu", THREADS), Augmentation.of(settings.dataset, training)
    states: dict[str, dict[str, Tensor]] = {SCRATCH: {}}
    found: dict[str, Any] = {
        "images": len(images),
        "batch size": settings.batch_size(len(images)),
        "steps": {},
        "top1": {},
    }
    for name, model in settings.models.items():
        fresh = he_start(plans[name], seed=settings.seed, model=name)
        state, _ = start(settings, name, plans, states[model.after], fresh)
        trainer = Trainer(
            network(plans[name], state, training.dropout),
            images,
            compute_statistics(images.images),
            augmentation,
            training,
            model=name,
            peak_lr=settings.peak_lr(name),
            epochs=settings.epochs(name, len(images)),
            seed=settings.seed,
            device=device,
            dtype=choose_dtype(settings.precision, device),
        )
        for epoch in range(1, trainer.epochs + 1):
            trainer.epoch(epoch, lambda: None)
        states[name] = dict(trainer.network.state_dict())
        judged = evaluate(trainer.network, test, trainer.mean, flip_averaging=True, batch_size=500)
        found["top1"][name], found["steps"][name] = judged.percent(1), trainer.steps
    return found | {"seconds": time.perf_counter() - begin}


def write_set(wanted: PhotoSet, source: Path, folder: Path) -> None:
    """Write train/ and test/ of a set."""
    parts = {"train": wanted.counts(), "test": [TEST // wanted.classes] * wanted.classes}
    if wanted.drawn:
        for part, counts in parts.items():
            draw_photos(folder / part, counts, part)
        return
    classes = sorted(path.name for path in (source / "train").iterdir())
    chosen = random.Random(wanted.name).sample(classes, wanted.classes)
    for part, counts in parts.items():
        for name, count in zip(chosen, counts, strict=True):
            files = sorted((source / part / name).iterdir())
            (folder / part / name).mkdir(parents=True)
            for file in random.Random(wanted.name).sample(files, min(count, len(files))):
                shutil.copy(file, folder / part / name)


def load_set(wanted: PhotoSet, source: Path) -> tuple[ImageSet, ImageSet]:
    """Training images, less those for validation, and test images of a set, read as those of a folder are."""
    settings = settings_for(Setting(), 0, wanted.images)
    with tempfile.TemporaryDirectory() as folder:
        write_set(wanted, source, Path(folder))
        dataset = settings.datasets["folder"].model_copy(update={"root": folder, "size": SIZE})
        parts = load_dataset(dataset, Path()).with_held_out("validation", settings.val_fraction)
        return parts.images["train"], parts.images["test"]


def is_current(run: dict[str, Any]) -> bool:
    """Whether `auto` still comes to the batch and the steps of a run; a run of the grid says its own."""
    settings, images = settings_for(Setting(**run["setting"]), run["seed"], run["images"]), run["images"]
    steps = {name: settings.steps(name, images) for name in settings.models}
    return bool(settings.batch_size(images) == run["batch size"] and steps == run["steps"])


def missing_runs(
    done: list[dict[str, Any]], sets: list[PhotoSet], seeds: int
) -> Iterator[tuple[PhotoSet, Setting, int]]:
    """What is to be run: set by set, that which has no line yet."""
    known = {(run["set"], json.dumps(run["setting"], sort_keys=True), run["seed"]) for run in done}
    for each in sets:
        for setting, seed in product([Setting(), *GRID[each.name]], range(seeds)):
            if (each.name, json.dumps(asdict(setting), sort_keys=True), seed) not in known:
                yield each, setting, seed


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a set: means over the seeds of the settings by themselves, and of the best of the grid for each model."""
    rows = []
    for each in SETS:
        means: dict[Setting, dict[str, float]] = {}
        for setting in [Setting(), *GRID[each.name]]:
            found = [run["top1"] for run in runs if run["set"] == each.name and Setting(**run["setting"]) == setting]
            if found:
                means[setting] = {name: statistics.mean(top1[name] for top1 in found) for name in found[0]}
        if len(means) == 1 + len(GRID[each.name]):
            rows.append(_row(each, means, sum(run["set"] == each.name for run in runs) // len(means)))
    return rows


def _row(each: PhotoSet, means: dict[Setting, dict[str, float]], seeds: int) -> dict[str, Any]:
    default, row = means.pop(Setting()), {"set": each.name, "counts": each.counts(), "seeds": seeds}
    for name, top1 in default.items():
        best = max(means, key=lambda setting: means[setting][name])
        grid = sorted(found[name] for found in means.values())
        row |= {name: top1, f"{name} best of the grid": grid[-1], f"{name} median of the grid": grid[len(grid) // 2]}
        row[f"{name} best setting"] = f"{best.batch_size} x {best.steps}, lr {best.lr}"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder with train/<class>/* and test/<class>/*")
    parser.add_argument("--runs", type=Path, default=RESULTS / "small_sets.jsonl", help="a line a run")
    parser.add_argument("--sets", nargs="+", choices=[each.name for each in SETS], default=[each.name for each in SETS])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    runs = [json.loads(line) for line in options.runs.read_text().splitlines()] if options.runs.exists() else []
    runs = [run for run in runs if is_current(run)]
    loaded: tuple[str, ImageSet, ImageSet] | None = None
    for each, setting, seed in missing_runs(runs, [each for each in SETS if each.name in options.sets], options.seeds):
        if loaded is None or loaded[0] != each.name:
            loaded = (each.name, *load_set(each, options.images))
        _, images, test = loaded
        found = train_ladder(settings_for(setting, seed, len(images)), images, test)
        runs.append({"set": each.name, "setting": asdict(setting), "seed": seed, **found})
        with options.runs.open("a") as file:
            file.write(json.dumps(runs[-1]) + "\n")
        print(runs[-1], flush=True)
    report("small_sets", table(runs), width=WIDTH, size=SIZE, seeds=options.seeds)


if __name__ == "__main__":
    main()
