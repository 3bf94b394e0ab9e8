import numpy as np
import pandas as pd
import pytest
import yaml_text
from dvc_project import ROOT

from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.models.layers import count_training_flops, plan
from study.arm import measure
from study.settings import Study, load_studies
from study.summary import compare, draw

SETTINGS = load_settings(ROOT / "params.yaml")
TINY = SETTINGS.model_copy(update={"threads": 1})
PARAMS = yaml_text.load((ROOT / "study/params.yaml").read_text())


def study(**changes):
    small = {"width": 0.03125, "compute": {"II": 2, "III": 1.5}, "curve_images": 30}
    return Study.model_validate({**PARAMS["growing"], **small, **changes})


def test_the_studies_own_params_are_good():
    studies = load_studies(SETTINGS, ROOT / "study/params.yaml")
    assert studies["growing"].arms["III-scratch"].shares == {}
    for arm in studies["recipe"].arms.values():  # each changes something, but the one they are held against
        assert (arm.training(SETTINGS) == SETTINGS.recipes["onecycle"].training) == (arm.changes == {})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"seeds": [0]}, r"growing.seeds: .* at least 2 items .*; fix this value"),
        ({"imges": 3}, "growing.imges: Extra inputs are not permitted, got 3"),
        ({"arms": {"a": {"target": "V"}}}, "growing.arms.a.target: 'V' must be one of the models, and listed under compute"),
        ({"arms": {"a": {"target": "III", "shares": {"I": 0.2}}}}, "growing.arms.a.shares: must name exactly the models that III grows from: I, II"),
        ({"arms": {"a": {"target": "II", "shares": {"I": 1.0}}}}, "growing.arms.a: .*shares must be above 0 and leave some"),
        ({"arms": {"a": {"target": "II", "recipe": "best"}}}, "growing.against.II: must name one of the arms"),
        ({"arms": {"II-scratch": {"target": "II", "recipe": "best"}}}, "growing.arms.II-scratch.recipe: unknown recipe 'best'; write one of: onecycle"),
        ({"arms": {"II-scratch": {"target": "II", "changes": {"dropout": 2}}}}, "growing.arms.II-scratch.changes: dropout: "),
        ({"arms": {"II-scratch": {"target": "II", "changes": {"a.b": 2}}}}, "growing.arms.II-scratch.changes: a: Extra inputs"),
    ],
)  # fmt: skip
def test_each_fault_names_path_rule_and_remedy(tmp_path, changes, fault):
    content = {**PARAMS, "growing": {**PARAMS["growing"], **changes}}
    (tmp_path / "params.yaml").write_text(yaml_text.dump(content))
    with pytest.raises(InputError, match=rf"params\.yaml: {fault}"):
        load_studies(SETTINGS, tmp_path / "params.yaml")


def test_a_study_of_unknown_data_is_an_error(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml_text.dump({**PARAMS, "data": "mnist"}))
    with pytest.raises(
        InputError, match=r"params\.yaml: data: unknown data set 'mnist'; write one of: digits, cifar10"
    ):
        load_studies(SETTINGS, tmp_path / "params.yaml")


def test_settings_of_a_study_that_can_t_be_read_are_an_error(tmp_path):
    with pytest.raises(InputError, match=r"can't be read \(No such file or directory\); run from the folder"):
        load_studies(SETTINGS, tmp_path / "params.yaml")


def measured(arm, images, seed=0, **changes):
    arm = study().arms[arm].model_copy(update=changes)
    return measure(arm, seed, TINY, study(), SETTINGS.datasets["digits"], images, images)


@pytest.mark.parametrize(
    "arm", ["II-scratch", "II-identity", "II-late", "III-scratch", "III-early", "III-pytorch-grown"]
)
def test_every_arm_of_a_target_costs_the_same(colored, arm):
    small = study()
    found = measured(arm, colored, changes={"batch_size": 2})
    target = small.arms[arm].target
    layers = plan(SETTINGS.models[target].layers, width=0.03125, image=(3, 8, 8), classes=3)
    assert found["flops"] == pytest.approx(small.compute[target] * 60 * count_training_flops(layers), rel=0.05)
    assert [point["flops"] for point in found["curve"]] == sorted(point["flops"] for point in found["curve"])
    assert list(dict.fromkeys(point["model"] for point in found["curve"])) == [*small.arms[arm].shares, target]


def test_an_arm_says_the_same_again_and_other_arms_and_seeds_something_else(rng):
    noise = ImageSet(
        rng.integers(0, 256, (200, 3, 8, 8), dtype=np.uint8), rng.integers(0, 10, 200), tuple("0123456789")
    )

    def curve(arm, seed=0, **changes):
        return str(measured(arm, noise, seed, changes={"batch_size": 4, **changes}))

    assert curve("II-identity") == curve("II-identity")
    others = [
        curve("II-identity"),
        curve("II-identity", seed=1),
        curve("II-identity", lr=0.05),
        str(measured("II-identity", noise, norm="batch")),
        curve("II-late"),
        curve("II-random"),
        curve("II-scratch"),
    ]
    assert len(set(others)) == len(others)


def test_differences_are_paired_by_seed():
    arms = {name: PARAMS["growing"]["arms"][name] for name in ("II-scratch", "II-identity")}
    small = study(arms=arms, seeds=[0, 1, 2], against={"II": "II-scratch"})
    noise = {0: -5.0, 1: 0.0, 2: 5.0}  # common to both arms, so that pairing takes it out
    rows = [
        {"arm": arm, "seed": seed, "top1": 80 + noise[seed] + gain, "flops": 2e12}
        for arm, gain in (("II-scratch", 0.0), ("II-identity", 1.0))
        for seed in small.seeds
    ]
    table = compare(pd.DataFrame(rows), small).set_index("arm")
    assert table.loc["II-identity", "difference"] == pytest.approx(1)
    assert table.loc["II-identity", "+- "] == pytest.approx(0, abs=1e-9)
    assert table.loc["II-identity", "+-"] > 10
    assert table.loc["II-scratch", "TFLOP"] == 2


@pytest.mark.parametrize(
    ("name", "titles"), [("growing", ["Reaching II", "Reaching III"]), ("recipe", ["Reaching III"])]
)
def test_the_picture_has_a_panel_a_target_and_a_line_an_arm(name, titles):
    small = load_studies(SETTINGS, ROOT / "study/params.yaml")[name]
    curves = pd.DataFrame(
        [{"arm": arm, "flops": flops, "top1": flops / 1e12} for arm in small.arms for flops in (1e12, 2e12, 2e12)]
    )
    panels = draw(curves, small).axes
    assert [axes.get_title() for axes in panels] == titles
    looks = [(line.get_color(), line.get_linestyle()) for axes in panels for line in axes.lines]
    assert len(set(looks)) >= max(len(axes.lines) for axes in panels)
    assert sum(len(axes.lines) for axes in panels) == len(small.arms)


def test_the_pipeline_runs_apart_from_the_ladder_and_goes_on_where_it_stopped(project):
    content = {**PARAMS, "data": "digits", "growing": study(compute={"II": 1}, seeds=[0, 1], images=200).model_dump()}
    content["growing"] |= {"against": {"II": "II-scratch"}, "arms": {"II-scratch": {"target": "II"}}}

    def ran():
        (project.path / "study/params.yaml").write_text(yaml_text.dump(content))
        code, *others = project.ran("sh -c", "cd study && dvc repro summary@growing")
        assert code == "code"  # runs each time
        return others

    prepare, *arms, summary = ran()
    assert (prepare, summary) == ("prepare", "summary@growing")
    assert sorted(arms) == ["growing@II-scratch-0", "growing@II-scratch-1"]
    content["growing"]["arms"]["II-identity"] = PARAMS["growing"]["arms"]["II-identity"]
    assert sorted(ran()) == ["growing@II-identity-0", "growing@II-identity-1", "summary@growing"]
    table = pd.read_csv(project.path / "study/growing.csv").set_index("arm")
    assert table.loc["II-scratch", "difference"] == 0
    assert (table["n"] == 2).all()
    assert "II-identity" in project.read("study/growing.md")
    assert any((project.path / "src/deepen/core").rglob("*.pyc"))  # which is no change, unlike code:
    assert ran() == []
    project.edit("src/deepen/growth/identity.py", ('"""The cond', '"""Edited. The cond'))
    assert sorted(ran()) == sorted([*arms, "growing@II-identity-0", "growing@II-identity-1"])
    project.edit("src/deepen/growth/identity.py", ('"""Edited. The cond', '"""The cond'))
    assert project.ran("dvc repro") == []
    assert project.is_up_to_date()
