"""The pages of docs/ that walk through commands: each command runs, in the page's order, in a tiny project."""

import csv
import json

import pytest
from documents import commands
from dvc_project import Project

COLUMNS = "Created|State|Executor|params.yaml|.*/(?!final.json:(top1|loss)).*"


class Walk:
    """The sections of a page, to be run one after the other."""

    def __init__(self, page, openly=()):
        self.left = commands(page, openly)

    def run(self, project, heading):
        """Run the commands below the next heading, which must be this one; what they print."""
        found = next(iter(self.left))
        assert found == heading
        return project("bash -euo pipefail -c", self.left.pop(found))


def installed(project):
    """What the pages take as given: the packages are there, `make` need not install them."""
    project.env["INSTALLED"] = ""
    return project


def table(project):
    rows = csv.DictReader(project("dvc exp show --csv --only-changed --drop", COLUMNS).splitlines())
    return {row["Experiment"] or row["rev"]: row for row in rows}


def test_experiments(project, tmp_path):
    git, storage, server = tmp_path / "git", tmp_path / "storage", tmp_path / "server"
    walk = Walk(
        "docs/experiments.md",
        openly=[
            ("git@server:deepen.git", str(git)),
            ("/srv/deepen", str(storage)),
            ("source .venv/bin/activate\ndvc pull", "dvc pull"),  # the packages are those of the test
            ("models.III.epochs=16", "models.III.epochs=2"),
        ],
    )
    installed(project)
    project("git init --bare --quiet", str(git))
    project("git remote add origin", str(git))
    walk.run(project, "A place to share")

    said = walk.run(project, "One experiment")
    assert "top1" in said
    assert project("git status --short") == ""

    said = walk.run(project, "A grid")
    assert said.count("Success") == 2
    assert "Queued" not in said.split("Worker status")[0].split("Task")[1]

    said = walk.run(project, "The table")
    assert all(name in said for name in ("low", "rate-1", "rate-2"))
    rows = table(project)
    assert {"metrics/final.json:top1", "metrics/final.json:loss", "depth", "lr"} == set(rows["low"]) - {
        "Experiment",
        "rev",
        "typ",
    }
    assert (rows["low"]["lr"], rows["rate-2"]["lr"], rows["rate-2"]["depth"]) == ("0.01", "0.06", "I")
    losses = [row["metrics/final.json:loss"] for name, row in rows.items() if name != "workspace"]
    assert len(set(losses)) == 4

    walk.run(project, "Two experiments in pictures")
    drawn = project.read("dvc_plots/index.html")
    assert "rate-1" in drawn
    assert "rate-2" in drawn

    said = walk.run(project, "What depth bought")
    assert "Running stage 'train@" not in said
    shallow, deep = (json.loads(project.read(f"metrics/{model}.json")) for model in ("I", "III"))
    difference = json.loads(project("dvc metrics diff depth-I depth-III --targets metrics/final.json --json"))
    assert difference["metrics/final.json"]["loss"]["diff"] == pytest.approx(deep["loss"] - shallow["loss"])
    assert project("git status --short") == ""

    walk.run(project, "Choosing one")
    assert "lr: 0.01" in project.read("params.yaml")
    assert "up to date" in project("dvc status")

    assert "low" in walk.run(project, "Sharing it").splitlines()[-1]
    project("git restore .")
    project("dvc checkout")

    server.mkdir()
    box = installed(Project(server, server))
    said = walk.run(box, "On a GPU server")
    assert "Running stage 'train@III'" in said
    assert "Running stage 'train@II'" not in said

    walk.run(project, "Back home")
    assert project("git status --short") == ""
    assert "up to date" in project("dvc status")
    assert (tmp_path / "project/weights/III.safetensors").is_file()
    params = project.read("params.yaml")
    assert "lr: 0.01" in params
    assert "epochs: 2" in params

    walk.run(project, "What DVC does badly, and what helps")
    assert project("git status --short") == ""
    assert "up to date" in project("dvc status")
    assert not walk.left
