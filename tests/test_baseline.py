"""The baseline of a ladder: how long it trains, and which runs are the baseline of which ladder."""

from dataclasses import replace

import pytest
from made_up_ladders import ladder
from seed_runs import experiment, params

from deepen.cli.baseline import describe_plans
from deepen.core.errors import InputError
from deepen.experiments import own_baselines
from deepen.experiments.baseline import find_baseline_differences, list_imported, name_baseline, plan_baseline
from deepen.experiments.own_baselines import OwnBaseline, load_own_baselines
from deepen.models.layers import count_training_flops, plan
from deepen.records.history import Epoch
from deepen.report.baseline_text import format_baselines
from deepen.report.training_notes import describe_excess
from deepen.seeds import baseline_runs
from deepen.seeds.baseline_runs import describe_baseline, plan_group_baselines, plan_own_baseline
from deepen.seeds.planned_runs import PlannedRun

RECORDS = ladder()[0]


def baseline(epochs):
    """The record of a baseline that was trained for so many epochs."""
    last = RECORDS[-1]
    rows = [Epoch(i, 0.01, 2.0, 2.2, 60.0) for i in range(1, epochs + 1)]
    training = replace(last.training, epochs=rows, learned=100 * epochs)
    return replace(last, model="III-scratch", after="scratch", training=training)


SCRATCH = baseline(plan_baseline(params(), "III", RECORDS).epochs)


def test_the_compute_is_that_of_all_trainings_of_the_ladder_to_half_an_epoch():
    planned = plan_baseline(params(seed=3, lr=0.01), "III", RECORDS)
    last = RECORDS[-1]
    epoch = 100 * count_training_flops(plan(last.layers, width=0.25, image=(3, 8, 8), classes=10))
    assert planned.ladder_flops == sum(record.flops for record in RECORDS)
    assert planned.flops == planned.epochs * epoch
    assert abs(planned.flops - planned.ladder_flops) <= epoch / 2
    assert planned.epochs > 4
    assert planned.excess == pytest.approx(100 * (planned.flops - planned.ladder_flops) / planned.ladder_flops)
    models = {"III-scratch": {"after": "scratch", "layers": last.layers, "epochs": planned.epochs}}
    assert planned.settings == params(seed=3, lr=0.01) | {"depth": "III-scratch", "models": models}


def test_frozen_layers_cost_the_ladder_less_and_the_baseline_trains_all():
    frozen = replace(RECORDS[-1].training, settings={**RECORDS[-1].training.settings, "frozen": ["conv1_1", "fc1"]})
    cheaper = plan_baseline(params(), "III", [*RECORDS[:-1], replace(RECORDS[-1], training=frozen)])
    assert cheaper.ladder_flops < plan_baseline(params(), "III", RECORDS).ladder_flops
    assert "frozen" not in cheaper.settings["models"]["III-scratch"]


def test_batch_normalization_is_kept_and_the_start_from_a_file_is_not():
    settings = params(models__III__norm="batch", models__I__start="imports/vgg-0a1b2c3d.safetensors")
    assert plan_baseline(settings, "III", RECORDS).settings["models"]["III-scratch"]["norm"] == "batch"
    assert list_imported(RECORDS, settings) == ["I"]


def test_more_epochs_than_params_yaml_accepts_are_an_error():
    longer = replace(RECORDS[0], training=replace(RECORDS[0].training, learned=10**12))
    with pytest.raises(InputError, match=r"params\.yaml of the baseline: models\.III-scratch\.epochs: must be"):
        plan_baseline(params(), "III", [longer, *RECORDS[1:]])


def test_a_baseline_does_not_stop_early():
    ladder = params(recipes__onecycle__training__patience=5)
    settings = plan_baseline(ladder, "III", RECORDS).settings
    assert settings["recipes"]["onecycle"]["training"]["patience"] == "none"
    assert ladder["recipes"]["onecycle"]["training"]["patience"] == 5
    assert find_baseline_differences(settings, ladder, "III") == []


def test_the_name_of_a_baseline_is_a_valid_model_name():
    assert name_baseline("III") == "III-scratch"
    assert name_baseline("x" * 32) == "x" * 24 + "-scratch"


def test_a_baseline_is_that_of_a_ladder_with_the_same_recipe_and_layers():
    settings = plan_baseline(params(lr=0.01), "III", RECORDS).settings
    assert find_baseline_differences({**settings, "seed": 7}, params(lr=0.01), "III") == []
    assert find_baseline_differences(settings, params(), "III") == ["lr"]
    assert find_baseline_differences(settings, params(lr=0.01), "II") == ["models"]
    other = params(lr=0.01, models__III__layers="conv3-8 maxpool fc-8")
    assert find_baseline_differences(settings, other, "III") == ["models.III.layers"]


class TestPlans:
    @pytest.fixture(autouse=True)
    def _trained(self, monkeypatch, tmp_path):
        """The ladder of the folder is trained with params.yaml."""
        (tmp_path / "records").mkdir()
        (tmp_path / "records/III.json").touch()
        self.changes, self.cached = [], RECORDS
        monkeypatch.setattr(baseline_runs, "load_workspace", lambda project: experiment("workspace"))
        monkeypatch.setattr(baseline_runs, "find_changes", lambda *_: self.changes)
        monkeypatch.setattr(baseline_runs, "load_records", lambda path: RECORDS)
        monkeypatch.setattr(baseline_runs, "make_record_loader", lambda project: lambda *_: self.cached)
        runs = [experiment(f"low-seed-{seed}", seed, lr=0.01) for seed in (0, 4)]
        monkeypatch.setattr(baseline_runs, "list_experiments", lambda project: (runs, 0))
        self.project = tmp_path

    def test_the_run_in_the_folder_has_one_of_its_seed(self):
        ((run, planned, records),) = plan_own_baseline(self.project, params(seed=5), None)
        assert run.name == "III-scratch-seed-5"
        assert [change.partition("=")[0] for change in run.overrides] == ["++depth", "~models", "++models"]
        said = describe_baseline(planned, records)
        assert said.startswith(f"III-scratch: {planned.epochs} epochs, ")
        assert said.endswith(" of I, II, III (whole epochs)")

    def test_a_group_has_one_for_each_seed_with_its_settings(self):
        runs = [run for run, _, _ in plan_group_baselines(self.project, params(), "low", "III")]
        assert [run.name for run in runs] == ["low-III-scratch-seed-0", "low-III-scratch-seed-4"]
        assert [run.settings["seed"] for run in runs] == [0, 4]
        assert "++lr=0.01" in runs[0].overrides

    @pytest.mark.parametrize(
        ("model", "error"),
        [
            ("IIX", "IIX: unknown model; use one of II, III; did you mean II?"),
            ("I", "I: trained from scratch already, a baseline is for a grown model; use one of II, III"),
        ],
    )
    def test_a_model_without_a_baseline_is_an_error(self, model, error):
        for plan_it in (
            lambda: plan_own_baseline(self.project, params(), model),
            lambda: plan_group_baselines(self.project, params(), "low", model),
        ):
            with pytest.raises(InputError) as raised:
                plan_it()
            assert str(raised.value).startswith(error)

    def test_a_ladder_of_one_model_has_no_baseline(self):
        alone = params(depth="I", models={"I": params()["models"]["I"]})
        with pytest.raises(InputError, match="no model grows from another; add one: deepen new II --after I"):
            plan_own_baseline(self.project, alone, None)

    def test_a_ladder_that_is_not_trained_with_these_settings_is_an_error(self, monkeypatch):
        self.changes = ["lr"]
        with pytest.raises(InputError, match="III: lr changed after the run; run dvc repro, and then deepen baseline"):
            plan_own_baseline(self.project, params(), "III")
        with pytest.raises(InputError, match=r"low-seed-0: records/III\.json is not available; run it again"):
            plan_group_baselines(self.project, params(), "low", "III")
        monkeypatch.setattr(baseline_runs, "load_workspace", lambda project: None)
        with pytest.raises(InputError, match="III: not trained yet; run dvc repro, and then deepen baseline III"):
            plan_own_baseline(self.project, params(), "III")

    def test_records_that_dvc_s_cache_lacks_are_an_error(self):
        self.cached = None
        with pytest.raises(InputError, match=r"low-seed-0: records/III\.json is not available; run it again"):
            plan_group_baselines(self.project, params(), "low", "III")


def test_only_baselines_of_this_run_are_listed_beside_it(monkeypatch, tmp_path):
    settings = plan_baseline(params(), "III", RECORDS).settings
    own = replace(experiment("b"), settings=settings)
    others = [
        replace(own, name="other seed", settings={**settings, "seed": 1}),
        replace(own, name="other recipe", settings={**settings, "lr": 0.5}),
        replace(own, name="other images", images="x"),
        replace(own, name="no result", metrics={}),
    ]
    loaded = []
    monkeypatch.setattr(own_baselines, "make_record_loader", lambda project: lambda each, model: loaded.append(each.name) or [SCRATCH])  # fmt: skip
    monkeypatch.setattr(own_baselines, "load_records", lambda path: RECORDS)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/III.json").touch()
    here = experiment("workspace")
    assert load_own_baselines(tmp_path, here, others) == []
    assert load_own_baselines(tmp_path, here, [own, *others]) == [OwnBaseline(SCRATCH, RECORDS)]
    assert loaded == ["b"]
    assert load_own_baselines(tmp_path, replace(here, why="lr changed after the run"), [own]) == []


def test_a_baseline_with_the_compute_of_another_ladder_is_not_listed_beside_this_one(monkeypatch, tmp_path):
    settings = plan_baseline(params(), "III", RECORDS).settings
    planned = len(SCRATCH.training.epochs)
    runs = {f"b-{epochs}": baseline(epochs) for epochs in (planned, planned + 1, planned - 1)}
    monkeypatch.setattr(own_baselines, "make_record_loader", lambda project: lambda each, model: [runs[each.name]])
    monkeypatch.setattr(own_baselines, "load_records", lambda path: RECORDS)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/III.json").touch()
    found = [replace(experiment(name), settings=settings) for name in runs]
    assert load_own_baselines(tmp_path, experiment("workspace"), found) == [OwnBaseline(SCRATCH, RECORDS)]
    assert load_own_baselines(tmp_path, experiment("workspace"), found[1:]) == []


def test_what_makes_a_baseline_differ_from_its_ladder_is_told():
    early = replace(RECORDS[0].training, settings={**RECORDS[0].training.settings, "training": {"patience": 2}, "epochs": 50})  # fmt: skip
    weak = replace(SCRATCH, training=replace(SCRATCH.training, warning="learned little; set more epochs"))
    said = " ".join(format_baselines([OwnBaseline(weak, [replace(RECORDS[0], training=early), *RECORDS[1:]])]).split())
    assert "Warning: III-scratch: learned little; set more epochs" in said
    assert "Note: the ladder was trained with patience (I: 4 of 50 epochs) and keeps its best epochs; III-scratch" in said  # fmt: skip
    assert "has the compute of the epochs that were trained, and keeps its last" in said
    said = format_baselines([OwnBaseline(SCRATCH, RECORDS)])
    assert "patience" not in said
    assert "Warning" not in said
    (note,) = describe_excess("III-scratch", 83.0, 100.0)
    assert note.startswith("III-scratch has 17.0 % less compute than the ladder, as epochs are whole;")
    assert list(describe_excess("III-scratch", 104.9, 100.0)) == []
    assert list(describe_excess("III-scratch", 105.1, 100.0)) != []


def test_the_command_tells_before_it_trains_that_the_ladder_stopped_early():
    early = replace(RECORDS[0].training, settings={**RECORDS[0].training.settings, "training": {"patience": 2}, "epochs": 50})  # fmt: skip
    records = [replace(RECORDS[0], training=early), *RECORDS[1:]]
    planned = plan_baseline(params(), "III", records)
    run = PlannedRun("III-scratch-seed-0", params(), ())
    lines = describe_plans([(run, planned, records)])
    assert "note: the ladder was trained with patience (I: 4 of 50 epochs)" in lines[1]


def test_a_baseline_is_described_with_its_gain_and_its_compute():
    scratch = replace(RECORDS[-1], model="III-scratch", after="scratch")
    said = format_baselines([OwnBaseline(scratch, RECORDS)])
    assert said.startswith("Trained from scratch, one seed:\n\nmodel ")
    assert "III and III-scratch have equal top-1 (" in said
    assert "III-scratch was trained for 4 epochs, with " in said
    assert "less compute than the ladder" in " ".join(said.split())
    longer = replace(scratch.training, learned=100_000)
    assert "more compute" in format_baselines([OwnBaseline(replace(scratch, training=longer), RECORDS)])
