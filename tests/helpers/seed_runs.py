"""Made-up experiments of several seeds, as DVC stores them, without DVC."""

import json
from functools import cache

import yaml_text
from dvc_project import ROOT

from deepen.experiments.store import Experiment


@cache
def _read_params():
    return (ROOT / "params.yaml").read_text()


def params(**changes):
    """The content of params.yaml, with changes by path, in which __ stands for a dot."""
    content = json.loads(json.dumps(yaml_text.load(_read_params())))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = content
        for part in parents:
            node = node[part]
        node[last] = value
    return content


def experiment(name, seed=0, top1=90.0, images="a" * 32 + "b" * 32, code="c", why="", **changes):
    metrics = {} if why else {"top1": top1, "loss": 1.0}
    settings = params(seed=seed, **changes)
    return Experiment(name, "2026-01-31 12:00", settings, metrics, why, images, code, 898, revision=name, start="s")
