"""Settings that -S changes are checked before DVC starts."""

import copy

import pytest
import yaml_text
from dvc_project import ROOT

from deepen.experiments.changes import find_change_faults

VALUE = (
    "invalid value; separate values by one comma, as in -S lr=0.01,0.02, and put text with special characters in quotes"
)
CONTENT = yaml_text.load((ROOT / "params.yaml").read_text())


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["lr=0.01", "models.III.epochs=2", "data=cifar10", "recipe=published"],
        ["+models.IV={after: III, layers: conv3-64*40, epochs: 2}", "depth=IV"],
        ["~models.III", "depth=II"],
        ["++models.III.norm=batch", "+models.II.mapping={conv2_2: conv2_1}"],
        ["lr=0.01,0.02", "depth=I,II"],
        ["seed=range(0, 3)", "growth=choice(copy, random)"],
        ["datasets.folder.root='my photos (1), [2]'"],
        ["params.yaml:seed=3", "other.yaml:nothing=3"],
        ["data=${recipe}"],
    ],
)
def test_valid_changes_have_no_fault(changes):
    assert find_change_faults(CONTENT, changes) == []


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        (["recipe.lr=0.1"], ["-S recipe.lr: unknown setting; did you mean recipes.onecycle.training.lr?"]),
        (["recipes.onecylce.training.lr=1"], ["-S recipes.onecylce.training.lr: unknown setting; did you mean recipes.onecycle.training.lr?"]),
        (["models.III.epoch=3"], ["-S models.III.epoch: unknown setting; did you mean models.III.epochs?"]),
        (["models.epochs=3"], ["-S models.epochs: unknown setting; did you mean models.I.epochs?"]),
        (["~lrr", "sed=1"], ["-S lrr: unknown setting; did you mean lr?", "-S sed: unknown setting; did you mean seed?"]),
        (["qqqq=1"], ["-S qqqq: unknown setting; see params.yaml for all settings"]),
        (["=3"], ["-S =3: missing setting name; write for example -S lr=0.01"]),
        (["lr=interval(0.1,0.2)"], ["-S lr=interval(0.1,0.2): can't list its values; write them separated by commas"]),
        (["models.I.norm=batch"], ["-S models.I.norm: not in params.yaml yet; write -S +models.I.norm=... to add it"]),
        (["lr"], ["-S lr: missing value; write for example -S lr=0.01"]),
        (["+"], ["-S +: missing setting name; write for example -S lr=0.01"]),
        (["a..b=3"], ["-S a..b=3: invalid setting name; write for example -S lr=0.01"]),
        (["l r=3"], ["-S l r=3: invalid setting name; write for example -S lr=0.01"]),
        (["lr=0.01,"], [f"-S lr=0.01,: {VALUE}"]),
        (["lr=[0.01"], [f"-S lr=[0.01: {VALUE}"]),
        (["lr=foo(3)"], [f"-S lr=foo(3): {VALUE}"]),
        (["lr=0.01;"], [f"-S lr=0.01;: {VALUE}"]),
        (["data=cifar"], ["params.yaml, changed by -S: data: unknown data set 'cifar'; use one of digits, cifar10, cifar100, fashion_mnist, folder; did you mean cifar10?"]),
        (["recipe=onecylce"], ["params.yaml, changed by -S: recipe: unknown recipe 'onecylce'; use one of onecycle, published; did you mean onecycle?"]),
        (["growth=copi"], ["params.yaml, changed by -S: growth: must be 'identity', 'copy' or 'random', got the string 'copi'; did you mean copy?"]),
        (["models.II.after=i1"], ["params.yaml, changed by -S: models.II.after: unknown model 'i1'; use scratch or one of I, II, III"]),
        (["~seed"], ["params.yaml, changed by -S: seed: is missing; write for example seed: 0"]),
        (["+lrr=1"], ["params.yaml, changed by -S: lrr: unknown key; did you mean lr?"]),
        (["seed=0,1,-1", "threads=1,0"], ["params.yaml, changed by -S: threads: must be greater than or equal to 1, got 0; write for example threads: 2", "params.yaml, changed by -S: seed: must be greater than or equal to 0, got -1; write for example seed: 0"]),
        (["+models.IV={after: III, epochs: 2}"], ["params.yaml, changed by -S: models.IV.layers: is missing; write for example layers: conv3-128 maxpool fc-1024"]),
    ],
)  # fmt: skip
def test_each_fault_of_a_change_is_reported(changes, faults):
    assert find_change_faults(CONTENT, changes) == faults


def test_no_changes_have_the_faults_of_the_file():
    assert find_change_faults(CONTENT | {"seed": -1}, []) == [
        "params.yaml: seed: must be greater than or equal to 0, got -1; write for example seed: 0"
    ]


@pytest.mark.parametrize(
    ("path", "change", "fault"),
    [
        ("lr", "lr=0.1", "-S lr: lr is missing in params.yaml; add for example lr: 0.01 there"),
        ("recipes", "recipes.onecycle.training.lr=1", "-S recipes.onecycle.training.lr: recipes is missing in params.yaml; add it there"),
        ("recipes.onecycle.training.lr", "recipes.onecycle.training.lr=1", "-S recipes.onecycle.training.lr: recipes.onecycle.training.lr is missing in params.yaml; add for example lr: 0.08 there"),
        ("datasets.folder.root", "datasets.folder.root=x", "-S datasets.folder.root: datasets.folder.root is missing in params.yaml; add for example root: images there"),
    ],
)  # fmt: skip
def test_a_setting_that_params_yaml_lacks_is_called_missing(path, change, fault):
    content = copy.deepcopy(CONTENT)
    *parents, last = path.split(".")
    node = content
    for part in parents:
        node = node[part]
    del node[last]
    assert find_change_faults(content, [change]) == [fault]
    if last == "lr":
        assert find_change_faults(content, [f"+{change}"]) == []


def test_a_grid_of_a_million_is_not_tried_out():
    assert (
        find_change_faults(CONTENT, [f"{name}=range(1,101)" for name in ("seed", "threads", "checkpoint_seconds")])
        == []
    )
