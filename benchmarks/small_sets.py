"""Accuracy on small sets of photos: automatic settings compared with a hand-made grid of other settings.

Each run is recorded as a line of a file. Recorded runs are not repeated.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, report, show
from benchmarks.photo_sets import SETS, SIZE, PhotoSet, load_set
from deepen.config.settings import Settings, check_settings
from deepen.core.names import SCRATCH
from deepen.core.yaml_reading import read_yaml
from deepen.data.images import ImageSet
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import draw_fresh_weights, initialize_model
from deepen.growth.ladder import plan_ladder
from deepen.models.tensors import State, to_arrays
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device
from deepen.training.from_settings import make_trainer

WIDTH, THREADS, SEEDS = 0.0625, 1, 3
BATCHES, STEPS, RATES = (32, 64), (150, 500, 1500), (0.015, 0.03)  # of the grid


@dataclass(frozen=True)
class Setting:
    """The settings of a run: batch size, steps of each model, peak learning rate; None for `auto`."""

    batch_size: int | None = None
    steps: int | None = None
    lr: float | None = None


SETTINGS = (Setting(), *(Setting(*found) for found in product(BATCHES, STEPS, RATES)))


def settings_for(setting: Setting, seed: int, images: int) -> Settings:
    """Return the settings of params.yaml for a folder of photos, with those of a run."""
    content: Any = read_yaml(Path("params.yaml"))
    content |= {"data": "folder", "width": WIDTH, "seed": seed, "threads": THREADS, "device": "cpu"}
    if setting.batch_size and setting.steps and setting.lr:
        content["recipes"][content["recipe"]]["training"]["batch_size"] = setting.batch_size
        epochs = -(-setting.steps // (images // setting.batch_size))
        content |= {"lr": setting.lr, "models": {n: m | {"epochs": epochs} for n, m in content["models"].items()}}
    return check_settings(content)


def train_ladder(settings: Settings, images: ImageSet, test: ImageSet) -> dict[str, Any]:
    """Train each model from the one before; returns top-1 (percent), steps and epochs by model, and seconds."""
    begin, device = time.perf_counter(), choose_device("cpu", THREADS)
    plans = plan_ladder(settings, settings.view_shape(images.shape), len(images.classes))
    statistics, states = compute_statistics(images.images), {SCRATCH: State()}
    found: dict[str, Any] = {
        "images": len(images),
        "batch size": settings.batch_size(len(images)),
        "steps": {},
        "top1": {},
    }
    for name, model in settings.models.items():
        fresh = draw_fresh_weights(plans[name], statistics.patch_covariance, seed=settings.seed, model=name)
        state, _ = initialize_model(settings, name, plans, states[model.after], fresh)
        network = build_network(plans[name], state, settings.training.dropout)
        trainer = make_trainer(settings, name, network, images, statistics, device)
        for epoch in range(1, trainer.epochs + 1):
            trainer.run_epoch(epoch, lambda: None)
        states[name] = to_arrays(trainer.network.state_dict())
        judged = evaluate(trainer.network, test, trainer.mean, flip_averaging=settings.dataset.flip, batch_size=500)
        found["top1"][name], found["steps"][name] = judged.percent(1), trainer.steps
    return found | {"seconds": time.perf_counter() - begin}


def is_current(run: dict[str, Any]) -> bool:
    """Return whether `auto` still gives the batch size and steps of a run; runs of the grid have their own."""
    settings, images = settings_for(Setting(**run["setting"]), run["seed"], run["images"]), run["images"]
    steps = {name: settings.steps(name, images) for name in settings.models}
    return bool(settings.batch_size(images) == run["batch size"] and steps == run["steps"])


def missing_runs(
    done: list[dict[str, Any]], sets: list[PhotoSet], seeds: int, settings: Sequence[Setting] = SETTINGS
) -> Iterator[tuple[PhotoSet, Setting, int]]:
    """List the runs without a result, by seed and set."""
    known = {(run["set"], json.dumps(run["setting"], sort_keys=True), run["seed"]) for run in done}
    for seed, each, setting in product(range(seeds), sets, settings):
        if (each.name, json.dumps(asdict(setting), sort_keys=True), seed) not in known:
            yield each, setting, seed


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per set and model: the mean over the seeds with `auto`, and with the settings of the grid.

    A set counts with as many seeds as all its settings have.
    """
    rows = []
    for each in SETS:
        top1 = {setting: _top1(runs, each.name, setting) for setting in SETTINGS}
        if seeds := min(map(len, top1.values())):
            rows += [_row(each, name, top1, seeds) for name in top1[Setting()][0]]
    return rows


def _top1(runs: list[dict[str, Any]], name: str, setting: Setting) -> list[dict[str, float]]:
    """Return top-1 by model, a mapping per seed."""
    found = {run["seed"]: run["top1"] for run in runs if run["set"] == name and Setting(**run["setting"]) == setting}
    return [found[seed] for seed in sorted(found)]


def _means(top1: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean over the seeds, by model."""
    return {name: statistics.mean(found[name] for found in top1) for name in top1[0]}


def _row(each: PhotoSet, name: str, top1: dict[Setting, list[dict[str, float]]], seeds: int) -> dict[str, Any]:
    means = {setting: statistics.mean(found[name] for found in top1[setting][:seeds]) for setting in SETTINGS}
    auto = means.pop(Setting())
    best = max(means, key=lambda setting: means[setting])
    return {
        "set": each.name,
        "of each class": ", ".join(map(str, sorted(set(each.counts()), reverse=True))),
        "seeds": seeds,
        "model": name,
        "auto": auto,
        "best of the grid": means[best],
        "auto is behind by": means[best] - auto,
        "its batch, steps, lr": f"{best.batch_size}, {best.steps}, {best.lr}",
        "median of the grid": statistics.median(means.values()),
        "worst": min(means.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder with train/<class>/* and test/<class>/*")
    parser.add_argument("--runs", type=Path, default=RESULTS / "small_sets.jsonl", help="file with one line per run")
    parser.add_argument("--sets", nargs="+", choices=[each.name for each in SETS], default=[each.name for each in SETS])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="number of seeds per setting")
    parser.add_argument(
        "--beyond", nargs=3, metavar=("BATCH", "STEPS", "LR"), help="run this setting instead of the grid"
    )
    options = parser.parse_args()
    beyond = Setting(*map(json.loads, options.beyond)) if options.beyond else None
    runs = [json.loads(line) for line in options.runs.read_text().splitlines()] if options.runs.exists() else []
    runs = [run for run in runs if is_current(run)]
    loaded: tuple[str, ImageSet, ImageSet] | None = None
    sets, settings = [each for each in SETS if each.name in options.sets], (beyond,) if beyond else SETTINGS
    for each, setting, seed in missing_runs(runs, sets, options.seeds, settings):
        if loaded is None or loaded[0] != each.name:
            loaded = (each.name, *load_set(each, options.images, settings_for(Setting(), 0, each.images)))
        _, images, test = loaded
        found = train_ladder(settings_for(setting, seed, len(images)), images, test)
        runs.append({"set": each.name, "setting": asdict(setting), "seed": seed, **found})
        with options.runs.open("a") as file:
            file.write(json.dumps(runs[-1]) + "\n")
        print(runs[-1], flush=True)
    if beyond:
        show([{"set": each.name, **_means(_top1(runs, each.name, beyond))} for each in sets])
        return
    report("small_sets", table(runs), width=WIDTH, size=SIZE, seeds=options.seeds)


if __name__ == "__main__":
    main()
