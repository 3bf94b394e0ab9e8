"""A ladder with branches in DVC: every model is in the report, and only the one that depth names has to be trained."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml_text
from dvc_project import tiny_project

from deepen.cli import main
from deepen.experiments.collecting import collect_results

WIDE = """  wide:
    after: I
    layers: conv3-128*2 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024
    epochs: 1
"""


def add(project, text=WIDE):
    (project.path / "params.yaml").write_text(project.read("params.yaml") + text)


def rows(project):
    """The models in the report's table, each with its top-1 or its state."""
    cells = [[cell.strip() for cell in line.split("|")] for line in project.read("reports/table.md").splitlines()]
    (place,) = {row.index("top-1") for row in cells if "top-1" in row}
    return {row[1]: row[place] for row in cells[2:] if len(row) > place}


def states(project):
    """The models without current results, as `deepen results` finds them."""
    missing = collect_results(project.path, yaml_text.load(project.read("params.yaml"))).missing
    return {each.model: (each.state, each.changed) for each in missing}


def test_the_report_has_every_branch_and_depth_names_the_one_that_the_metrics_describe(project, capsys):
    before = rows(project)
    add(project)
    said = project("dvc repro")
    assert project.stages(said) == ["check", "transfer@wide", "train@wide", "evaluate@wide", "report"]
    assert said.index("stage 'evaluate@wide'") < said.index("stage 'collect'") < said.index("stage 'report'")
    wide = json.loads(project.read("metrics/wide.json"))
    assert rows(project) == {**before, "wide": f"{wide['top1']:.2f}"}
    assert project.read("metrics/final.json") == project.read("metrics/III.json")
    assert project.is_up_to_date()
    assert project.ran("dvc repro") == []

    project.edit("params.yaml", ("depth: III", "depth: wide"))
    assert project.ran("dvc repro") == ["check", "saliency", "report"]
    assert project.read("metrics/final.json") == project.read("metrics/wide.json")
    assert list(rows(project)) == ["I", "II", "III", "wide", "majority class"]
    page = project.read("reports/index.html")
    assert "Test images that wide misclassified" in page
    assert all(f"<b>{name}</b>  " in page for name in ("I", "II", "III", "wide"))

    main(["results", "--project", str(project.path)])
    assert re.findall(r"^\S*[├└│].*?(\w+)  ", capsys.readouterr().out, re.MULTILINE) == ["II", "III", "wide"]
    main(["compare", "--project", str(project.path)])
    change = wide["top1"] - json.loads(project.read("metrics/I.json"))["top1"]
    told = re.search(r"^└─ wide +I +(\S+ \(\S+\))", capsys.readouterr().out, re.MULTILINE)[1]
    assert told == f"{wide['top1']:.2f} ({change:+.2f})"
    with pytest.raises(SystemExit, match=r"error: I: named twice; name two models"):
        main(["compare", "I", "I", "--project", str(project.path)])
    main(["compare", "--project", str(project.path), "--json"])
    assert json.loads(capsys.readouterr().out)["wide"]["top1"]["diff"] == pytest.approx(change)

    project.edit("params.yaml", (WIDE, ""), ("depth: wide", "depth: I"))
    assert project.ran("dvc repro") == ["check", "saliency", "report"]
    assert rows(project) == before
    assert (project.path / "records/wide.json").exists()
    with pytest.raises(SystemExit, match=r"wide: not in params\.yaml; use its models \(I, II, III\)"):
        main(["compare", "I", "wide", "--project", str(project.path)])


def test_the_report_of_a_shallow_model_trains_no_deeper_one_and_says_so(tmp_path):
    project = tiny_project(tmp_path)
    project.edit("params.yaml", ("depth: III", "depth: I"))
    needed = ["prepare", "statistics", "check", "transfer@I", "train@I", "evaluate@I", "saliency", "report"]
    assert project.ran("dvc repro report") == needed
    assert [rows(project)[name] for name in ("II", "III")] == ["not trained yet"] * 2
    assert "III is not trained yet: run dvc repro.\n" in project.read("reports/table.md")
    assert "II is not trained yet" in project("deepen results")
    assert project.ran("dvc repro")[-1] == "report"
    assert states(project) == {}
    assert "not trained yet" not in project.read("reports/table.md")


def test_results_of_other_settings_or_code_are_out_of_date_and_not_shown(project):
    project.edit("params.yaml", ("depth: III", "depth: I"))
    text = project.read("params.yaml")
    head, _, tail = text.rpartition("epochs: 1\n")
    (project.path / "params.yaml").write_text(f"{head}epochs: 2\n{tail}")
    assert project.ran("dvc repro report") == ["check", "saliency", "report"]
    assert rows(project)["II"] == f"{json.loads(project.read('metrics/II.json'))['top1']:.2f}"
    assert rows(project)["III"] == "out of date"
    assert "III is out of date (models.III.epochs changed): run dvc repro." in project("deepen results")
    assert "warning: III is out of date" in project("deepen compare I III")

    (project.path / "params.yaml").write_text(text)
    code = "src/deepen/training/lr_schedule.py"
    (project.path / code).write_text(project.read(code) + "# changed\n")
    assert "train@I" in project.ran("dvc repro report")
    assert states(project) == dict.fromkeys(("II", "III"), ("out of date", "src/deepen/training"))


def test_results_that_dvc_lock_does_not_know_are_not_shown(built, tmp_path):
    project = built.copy(tmp_path)
    project.edit("params.yaml", ("depth: III", "depth: I"))
    records = project.path / "records"
    shutil.copy(records / "III.json", tmp_path)
    (records / "III.json").unlink()
    assert states(project) == {"III": ("not in this run", "")}
    shutil.copy(records / "II.json", records / "III.json")
    assert states(project) == {"III": ("out of date", "records/III.json")}
    (records / "III.json").unlink()
    shutil.copy(tmp_path / "III.json", records)
    assert states(project) == {}
    lock = project.read("dvc.lock")
    (project.path / "dvc.lock").write_text(re.sub(r"  evaluate@III:\n(    .*\n)+", "", lock))
    assert states(project) == {"III": ("not evaluated yet", "")}


@pytest.mark.parametrize("way", ["--temp", pytest.param("--queue", marks=pytest.mark.long)])
def test_an_experiment_of_a_shallow_model_leaves_the_report_of_all_models_alone(project, way):
    before = project.files()
    project(f"deepen exp {way} --name shallow --set-param depth=I report")
    if way == "--queue":
        project("deepen queue")
    assert project.files() == before
    final = json.loads(project("git show", f"{project.experiment('shallow')}:metrics/final.json"))
    assert final == json.loads(project.read("metrics/I.json"))
    project("dvc exp apply shallow")
    assert rows(project)["III"] == "not in this run"
    assert project.ran("dvc repro") == ["report"]
    assert rows(project)["III"] == f"{json.loads(project.read('metrics/III.json'))['top1']:.2f}"


class TestDag:
    def drawn(self, project, capsys):
        main(["dag", "--project", str(project.path)])
        return [re.split("  +", line.strip()) for line in capsys.readouterr().out.splitlines()]

    def test_stages_and_models_are_drawn_with_their_state(self, project, capsys):
        add(project)
        project.edit("params.yaml", ("seed: 0", "seed: 1"))
        assert self.drawn(project, capsys) == [
            ["images", "scan -> prepare -> statistics -> check", "done"],
            ["models", "transfer -> train -> evaluate"],
            ["I", "seed changed"],
            ["├─ II", "seed changed"],
            ["│", "└─ III", "seed changed"],
            ["└─ wide", "not run yet"],
            ["report", "saliency -> collect -> report", "seed changed"],
        ]

    def test_models_that_were_added_or_removed_since_the_report_are_named(self, project, capsys):
        before = project.read("params.yaml")
        add(project)
        assert self.drawn(project, capsys)[-1][-1] == "wide added"
        (project.path / "params.yaml").write_text(before.replace("  III:", "  new:").replace("depth: III", "depth: II"))
        assert self.drawn(project, capsys)[4:] == [
            ["new", "not run yet"],
            ["report", "saliency -> collect -> report", "III removed, depth changed"],
        ]
        (project.path / "reports/models.json").unlink()
        (project.path / "params.yaml").write_text(before)
        assert self.drawn(project, capsys)[-1][-1] == "reports/models.json missing"
        (project.path / "reports/models.json").write_text("{")
        assert self.drawn(project, capsys)[-1][-1] == "models.json is damaged"

    def test_files_that_are_missing_are_named(self, project, capsys):
        for name in ("data/train.safetensors", "weights/II.safetensors"):
            (project.path / name).unlink()
        states = {row[0]: row[-1] for row in self.drawn(project, capsys)}
        assert states["images"] == states["I"] == "data/train.safetensors missing"
        assert states["III"] == "data/train.safetensors, weights/II.safetensors missing"

    def test_a_ladder_without_branches_is_a_list(self, built, capsys):
        assert self.drawn(built, capsys)[2:5] == [[name, "done"] for name in ("I", "II", "III")]

    def test_a_folder_without_stages_is_one_error(self, project):
        Path(project.path, "dvc.yaml").write_text("stages:\n")
        said = project("deepen dag", ok=False)
        assert said == "error: dvc.yaml: stages: must be a mapping, got nothing; run git restore dvc.yaml\n"
