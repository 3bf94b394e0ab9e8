"""Accuracy of the ladder at full width on a card, over seeds, for as long as there is time."""

import time
from collections.abc import Iterator

from benchmarks.gpu.bench import Bench, free_memory
from benchmarks.gpu.sections import Row
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import draw_fresh_weights, initialize_model
from deepen.models.tensors import State, to_arrays
from deepen.models.vgg import build_network


def train_usual_ladder(bench: Bench) -> Iterator[Row]:
    """Train the ladder with the epochs of params.yaml, once."""
    yield from train_ladder(bench, choose_usual_epochs(bench), 0)


def train_more(bench: Bench) -> Iterator[Row]:
    """Train the ladder with more epochs, and then with further seeds both ways in turns."""
    for seed in range(bench.size.seeds):
        if seed > 0:
            yield from train_ladder(bench, choose_usual_epochs(bench), seed)
        yield from train_ladder(bench, bench.size.epochs, seed)


def choose_usual_epochs(bench: Bench) -> dict[str, int]:
    """Return the epochs of each model by params.yaml, or those of a rehearsal."""
    usual = {name: bench.settings.epochs(name, len(bench.images)) for name in bench.settings.models}
    return bench.size.usual_epochs or usual


def train_ladder(bench: Bench, epochs: dict[str, int], seed: int) -> Iterator[Row]:
    """Train the ladder with the default recipe as `dvc repro` does, without looking at validation images."""
    settings = bench.settings.model_copy(update={"seed": seed})
    state: State = {}
    for model, layers in bench.plans.items():
        free_memory()
        fresh = draw_fresh_weights(layers, bench.statistics.patch_covariance, seed=seed, model=model)
        state, _ = initialize_model(settings, model, bench.plans, state, fresh)
        net = build_network(layers, state, settings.training.dropout)
        begin = time.perf_counter()
        trainer = bench.make_trainer(model, net, settings.recipe, epochs=epochs[model], seed=seed)
        for epoch in range(1, trainer.epochs + 1):
            loss, _ = trainer.run_epoch(epoch, lambda: None)
        seconds = time.perf_counter() - begin
        found = evaluate(
            net,
            bench.test,
            trainer.mean,
            flip_averaging=settings.evaluation.flip_averaging,
            batch_size=settings.evaluation.batch_size,
            dtype=bench.dtype,
        )
        state = to_arrays(net.state_dict())
        accuracies = {"top1": found.percent(1), "top1 of one view": found.percent_single(1)}
        yield {"seed": seed, "model": model, "epochs": epochs[model], "seconds": seconds, "loss": loss, **accuracies}
