"""Stage of the studies: a table of the arms, compared with a baseline arm seed by seed, and curves over compute."""

from itertools import cycle, product
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deepen.config.settings import load_settings
from deepen.core.checksums import read_checked_json
from deepen.core.files import write_json, write_text
from deepen.evaluation.seed_statistics import compute_mean_interval
from deepen.report.spreadsheets import format_csv
from pipeline.shared.agreement import require_agreement
from pipeline.shared.stage import require_unchanged, run
from study.figures import save_figure
from study.settings import Study, load_studies


def summarize(name: str) -> None:
    study = load_studies(load_settings())[name]
    files = {(arm, seed): Path(f"study/runs/{name}/{arm}-{seed}.json") for arm in study.arms for seed in study.seeds}
    runs = [read_checked_json(file, dict[str, Any]) for file in files.values()]
    require_agreement(
        ("arm and seed", (file, (run["arm"], run["seed"])), ("the file name", key))
        for run, (key, file) in zip(runs, files.items(), strict=True)
    )
    require_unchanged()
    table = compare(pd.DataFrame(runs), study)
    write_text(Path(f"study/{name}.csv"), format_csv(_make_rows(table)))
    write_text(Path(f"study/{name}.md"), table.to_markdown(index=False, floatfmt=".2f") + "\n")
    means = dict(zip(table["arm"], table["top-1"].round(4), strict=True))
    write_json(Path(f"study/{name}.json"), {arm: {"top1": mean} for arm, mean in means.items()})
    curves = pd.DataFrame([{"arm": run["arm"], **point} for run in runs for point in run["curve"]])
    write_text(Path(f"study/{name}-curves.csv"), format_csv(_make_rows(curves)))
    save_figure(draw(curves, study), Path(f"study/{name}-curves.png"))
    print(Path(f"study/{name}.md").read_text())


def compare(runs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return one row per arm: its mean test top-1 (percent) and its mean difference to the baseline, paired by seed.

    Each value has half the width of its 95 % interval. `runs` has one row per arm and seed, with its top1 and flops.
    """
    top1 = runs.pivot(index="seed", columns="arm", values="top1")
    rows = []
    for name, arm in study.arms.items():
        mean, interval = compute_mean_interval(top1[name].to_numpy())
        row: dict[str, Any] = {"arm": name, "n": len(top1), "top-1": mean, "+-": interval}
        difference, spread = compute_mean_interval((top1[name] - top1[study.against[arm.target]]).to_numpy())
        row |= {"against": study.against[arm.target], "difference": difference, "+- ": spread}
        rows.append(row | {"TFLOP": runs.loc[runs["arm"] == name, "flops"].mean() / 1e12})
    return pd.DataFrame(rows)


def draw(curves: pd.DataFrame, study: Study) -> Figure:
    """Plot test top-1 over compute: one panel per target, one line per arm (mean of the seeds, shaded min to max)."""
    targets = list(dict.fromkeys(arm.target for arm in study.arms.values()))
    figure = Figure(figsize=(8 * len(targets), 5), layout="constrained")
    for axes, target in zip(np.atleast_1d(figure.subplots(1, len(targets))), targets, strict=True):
        arms = [name for name, arm in study.arms.items() if arm.target == target]
        styles = cycle(product(("-", "--", ":"), mpl.color_sequences["tab10"]))
        for (line, color), name in zip(styles, arms, strict=False):
            points = curves[curves["arm"] == name].groupby("flops")["top1"].agg(["mean", "min", "max"])
            axes.plot(points.index / 1e12, points["mean"], line, color=color, label=name)
            axes.fill_between(points.index / 1e12, points["min"], points["max"], color=color, alpha=0.12, linewidth=0)
        axes.set(xlabel="compute spent, shallower models included (TFLOP)", ylabel="test top-1 (percent), one view")
        axes.set_title(f"Reaching {target}")
        axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        axes.grid(alpha=0.3)
        axes.spines[["right", "top"]].set_visible(False)
    return figure


def _make_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(heading): cell for heading, cell in row.items()} for row in table.to_dict("records")]


if __name__ == "__main__":
    run(summarize)
