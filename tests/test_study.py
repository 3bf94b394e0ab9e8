import json

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc_project import ROOT
from scipy import stats

from deepen.errors import InputError
from deepen.layers import plan, training_flops
from deepen.settings import load_settings
from study.arm import measure
from study.settings import Study, load_study
from study.summary import compare, draw, mean_interval

SETTINGS = load_settings(ROOT / "params.yaml")
PARAMS = yaml.safe_load((ROOT / "study/params.yaml").read_text())


def study(**changes):
    small = {"width": 0.03125, "compute": {"II": 2, "III": 1.5}, "curve_images": 30, "data": "digits"}
    return Study.model_validate({**PARAMS, **small, **changes})


def test_the_study_s_own_params_are_good():
    assert load_study(SETTINGS, ROOT / "study/params.yaml").scratch("III") == "III-scratch"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"seeds": [0]}, r"seeds: .* at least 2 items .*; mend it there"),
        ({"imges": 3}, "imges: Extra inputs are not permitted, got 3"),
        ({"data": "mnist"}, "data: 'mnist' is none of the datasets: digits, cifar10"),
        ({"arms": {"a": {"target": "V"}}}, "arms.a.target: 'V' must be one of the models, and listed under compute"),
        ({"arms": {"a": {"target": "III", "shares": {"I": 0.2}}}}, "arms.a.shares: must name what III grows from: I, II"),
        ({"arms": {"a": {"target": "II", "shares": {"I": 1.0}}}}, "arms.a: .*shares must be above 0 and leave some"),
        ({"arms": {"a": {"target": "II", "recipe": "best"}}}, "arms.a.recipe: 'best' is none of the recipes: onecycle"),
        ({"arms": {"a": {"target": "II", "shares": {"I": 0.2}}}}, "arms.a: no arm reaches II from scratch; add one"),
    ],
)  # fmt: skip
def test_each_fault_names_path_rule_and_remedy(tmp_path, changes, fault):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**PARAMS, **changes}))
    with pytest.raises(InputError, match=rf"params\.yaml: {fault}"):
        load_study(SETTINGS, tmp_path / "params.yaml")


def test_settings_that_can_t_be_read(tmp_path):
    with pytest.raises(InputError, match=r"can't be read \(.*No such file.*\); mend it there"):
        load_study(SETTINGS, tmp_path / "params.yaml")


@pytest.fixture
def colored(colored):
    return colored.take(np.arange(60))


@pytest.mark.parametrize(
    "arm", ["II-scratch", "II-identity", "II-late", "III-scratch", "III-early", "III-pytorch-grown"]
)
def test_every_arm_of_a_target_costs_the_same(colored, arm):
    settings, small = SETTINGS.model_copy(update={"threads": 1}), study()
    training = SETTINGS.recipes["onecycle"].training.model_copy(update={"batch_size": 2})
    settings = settings.model_copy(
        update={
            "recipes": {
                name: recipe.model_copy(update={"training": training}) for name, recipe in SETTINGS.recipes.items()
            }
        }
    )
    found = measure(small.arms[arm], 0, settings, small, colored, colored)
    target = small.arms[arm].target
    layers = plan(SETTINGS.models[target].layers, width=0.03125, image=(3, 8, 8), classes=3)
    assert found["flops"] == pytest.approx(small.compute[target] * 60 * training_flops(layers), rel=0.05)
    assert [point["flops"] for point in found["curve"]] == sorted(point["flops"] for point in found["curve"])
    assert list(dict.fromkeys(point["model"] for point in found["curve"])) == [*small.arms[arm].shares, target]


def test_an_arm_says_the_same_again_and_other_arms_and_seeds_something_else(colored):
    small, settings = study(), SETTINGS.model_copy(update={"threads": 1})

    def losses(arm, seed):
        return json.dumps(measure(small.arms[arm], seed, settings, small, colored, colored))

    assert losses("II-identity", 0) == losses("II-identity", 0)
    assert len({losses("II-identity", 0), losses("II-late", 0), losses("II-scratch", 0)}) == 3


def test_the_interval_is_student_s():
    values = np.array([80.0, 82.0, 81.0, 84.0])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    mean, half = mean_interval(values)
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_differences_are_paired_by_seed():
    arms = {name: PARAMS["arms"][name] for name in ("II-scratch", "II-identity")}
    small = study(arms=arms, seeds=[0, 1, 2])
    noise = {0: -5.0, 1: 0.0, 2: 5.0}  # common to both arms, so that pairing takes it out
    rows = [
        {"arm": arm, "seed": seed, "top1": 80 + noise[seed] + gain, "flops": 2e12}
        for arm, gain in (("II-scratch", 0.0), ("II-identity", 1.0))
        for seed in small.seeds
    ]
    table = compare(pd.DataFrame(rows), small).set_index("arm")
    assert table.loc["II-identity", "minus scratch"] == pytest.approx(1)
    assert table.loc["II-identity", "+- "] == pytest.approx(0, abs=1e-9)
    assert table.loc["II-identity", "+-"] > 10
    assert table.loc["II-scratch", "TFLOP"] == 2


def test_the_picture_has_a_panel_a_target_and_a_line_an_arm():
    small = study()
    curves = pd.DataFrame(
        [{"arm": arm, "flops": flops, "top1": flops / 1e12} for arm in small.arms for flops in (1e12, 2e12, 2e12)]
    )
    panels = draw(curves, small).axes
    assert [axes.get_title() for axes in panels] == ["Reaching II", "Reaching III"]
    assert sum(len(axes.lines) for axes in panels) == len(small.arms)


def test_the_pipeline_runs_apart_from_the_ladder_and_goes_on_where_it_stopped(project):
    content = {**PARAMS, "data": "digits", "images": 200, "width": 0.03125, "seeds": [0, 1], "compute": {"II": 1}}
    content["arms"] = {name: PARAMS["arms"][name] for name in ("II-scratch", "II-identity")}
    (project.path / "study/params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    assert project.ran("dvc repro") == []
    arms = {f"study/dvc.yaml:arm@{arm}-{seed}" for arm in content["arms"] for seed in (0, 1)}
    ran = project.ran("dvc repro study/dvc.yaml")
    assert ran[0] == "study/dvc.yaml:prepare"
    assert set(ran[1:-1]) == arms
    assert ran[-1] == "study/dvc.yaml:summary"
    table = pd.read_csv(project.path / "study/table.csv").set_index("arm")
    assert table.loc["II-scratch", "minus scratch"] == 0
    assert (table["n"] == 2).all()
    assert "II-identity" in project.read("study/table.md")
    content["arms"]["II-late"] = PARAMS["arms"]["II-late"]
    (project.path / "study/params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    late = [f"study/dvc.yaml:arm@II-late-{seed}" for seed in (0, 1)]
    assert project.ran("dvc repro study/dvc.yaml") == [*late, "study/dvc.yaml:summary"]
