"""`deepen seeds`, `deepen baseline` and `deepen compare --seeds`, in a project in which DVC runs."""

import argparse
import csv
import json
import re

import pytest

from deepen.cli import main
from deepen.cli.arguments import add_changes


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["seeds", "0", "--name", "a b"], "--name a b: use 1 to 64 letters, digits, - and _, for example low-rate"),
        (["seeds", "--changes", "lr=0.1"], "--changes: requires seeds to run; write for example deepen seeds 0 1 2 --changes lr=0.01"),
        (["baseline", "--of", ""], "--name : use 1 to 64 letters, digits, - and _, for example low-rate"),
        (["compare", "I", "II", "--all"], "--all: requires --seeds, which compares experiments; remove one or add the other"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_error(monkeypatch, words, error):
    with pytest.raises(SystemExit) as exit:
        main(words)
    assert str(exit.value) == f"error: {error}"


@pytest.mark.parametrize("seed", ["0,1", "1e3", "9223372036854775808", "1" + "0" * 30, "-1"])
def test_a_seed_that_params_yaml_can_t_have_is_an_error_with_the_largest(capsys, seed):
    with pytest.raises(SystemExit):
        main(["seeds", "--", seed])
    rule = f"must be a whole number, 0 to 9223372036854775807, got '{seed}'"
    assert capsys.readouterr().err == f"error: SEED: {rule}; see deepen seeds --help\n"


def test_repeated_changes_are_joined():
    parser = argparse.ArgumentParser()
    add_changes(parser, "settings")
    assert parser.parse_args([]).changes is None
    assert parser.parse_args(["--changes", "depth=I", "--changes", "lr=0.1"]).changes == "depth=I lr=0.1"


# It runs the commands of "Several seeds" and "A baseline from scratch" in docs/experiments.md, which are left out there.
def test_seeds_and_baselines_from_make_to_the_page(project):
    project.env["INSTALLED"] = ""
    before = project.read("params.yaml")
    said = project("make --silent seeds", "SEEDS=0 1", "SET=lr=0.05", "NAME=low")
    assert "low-seed-0: run 1 of 2\n" in said
    assert "95 % interval over seeds" in said
    assert "Written: reports/seeds/low.md, reports/seeds/low.csv, reports/seeds/low.html" in said
    rows = list(csv.DictReader(project.read("reports/seeds/low.csv").splitlines()))
    assert [row["model"] for row in rows] == ["I", "II", "III", "II", "III"]
    for seed in (0, 1):
        shown = json.loads(project("git show", f"{project.experiment(f'low-seed-{seed}')}:metrics/II.json"))
        assert float(rows[1][f"seed {seed}"]) == shown["top1"]

    said = project("deepen seeds 0 1 --name low --changes lr=0.05")
    assert "done already: low-seed-0, low-seed-1\n" in said
    assert project.stages(said) == []
    assert "exists with other settings (lr: 0.05 there, auto here)" in project("deepen seeds 0 --name low", ok=False)

    said = project("make --silent baseline", "NAME=low")
    assert "III-scratch: 2 epochs, " in said
    assert "low-III-scratch-seed-1: run 2 of 2\n" in said
    rows = list(csv.DictReader(project.read("reports/seeds/low.csv").splitlines()))
    assert [row["model"] for row in rows[:4]] == ["I", "II", "III", "III-scratch"]
    assert (rows[-1]["model"], rows[-1]["minus"]) == ("III", "III-scratch")
    assert "III-scratch" in project.read("reports/seeds/low.html")
    said = project("deepen compare low low-III-scratch --seeds")
    assert "III-scratch of low-III-scratch" in said
    (line,) = [line for line in said.splitlines() if line.startswith("III-scratch - III  ")]
    assert re.search(r"([+-]\d+\.\d\d %|equal)$", line)
    assert "error: low: an experiment, and no model of params.yaml; add --seeds" in project("deepen compare low I", ok=False)  # fmt: skip

    said = project("make --silent baseline")
    assert "Trained from scratch, one seed:" in said
    assert "III-scratch was trained for 2 epochs, with " in said
    listed = project("deepen results")
    assert "III-scratch-seed-0" in listed
    assert "(top-1 in percent, loss in nats; one seed each):" in listed
    assert "The intervals in this table are over test images." in listed
    assert max(map(len, listed.splitlines())) <= 80
    assert project.read("params.yaml") == before
    assert project("git status --short") == ""
    assert project.is_up_to_date()

    project.edit("params.yaml", ("depth: III", "depth: I"))
    assert "workspace has no top-1 yet: its report is missing or has other settings" in project("deepen results")
