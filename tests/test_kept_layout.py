"""Applied settings change their values in params.yaml, and no other character."""

import difflib
from pathlib import Path

import pytest

from deepen.cli.kept_layout import keep_layout, merge_settings
from deepen.core.yaml_reading import parse_yaml
from deepen.experiments.changes import apply_changes

TEXT = (Path(__file__).parents[1] / "params.yaml").read_text()
CONTENT = parse_yaml(TEXT, "params.yaml")
TRAINING = "recipes.onecycle.training"


def changed_lines(new, old=TEXT):
    """The lines that differ."""
    pairs = difflib.ndiff(old.splitlines(), new.splitlines())
    return [line.removeprefix("+ ") for line in pairs if line.startswith("+ ")]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (["lr=0.02"], ["lr: 0.02            # peak learning rate; auto takes the recipe's"]),
        ([f"{TRAINING}.epochs=[1,2,3]"], ["      epochs: [1, 2, 3]"]),
        (["models.II.epochs=7"], ["    epochs: 7"]),
        (["+models.III.frozen=[conv1_1]"], ["    frozen:", "    - conv1_1"]),
        ([f"{TRAINING}.crop=false"], ["      crop: false"]),
        (["datasets.folder.columns.label=breed"], ["    columns: {file: auto, label: breed, split: auto} # of that table; auto: those with usual names, such as file_name"]),
        ([], []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_values_change(changes, lines, end):
    new = merge_settings(TEXT.replace("\n", end), apply_changes(CONTENT, changes))
    assert [line.rstrip() for line in changed_lines(new)] == lines
    assert parse_yaml(new, "params.yaml") == apply_changes(CONTENT, changes)
    assert new.count(end) == new.count("\n")


def test_the_layout_of_dvc_is_kept_only_where_a_setting_is_removed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = Path("params.yaml")
    path.write_text(TEXT)
    with keep_layout(path):
        path.write_text(
            TEXT.replace("lr: auto ", "lr: 0.5 ").replace(
                "epochs: [3, 3, 12]", "epochs:\n      - 3\n      - 3\n      - 12"
            )
        )
    assert path.read_text() == TEXT.replace("lr: auto ", "lr: 0.5  ")
    assert capsys.readouterr().err == ""
    shorter = TEXT.replace("    labels: auto    # a", "    # a")
    with keep_layout(path):
        path.write_text(shorter)
    assert path.read_text() == shorter
    assert "params.yaml: its settings are those of the experiment, its layout is DVC's" in capsys.readouterr().err


def test_an_anchor_keeps_the_layout_of_dvc():
    shared = TEXT.replace("root: downloads", "root: &x downloads", 1).replace("root: images", "root: *x")
    content = parse_yaml(shared, "params.yaml")
    assert merge_settings(shared, apply_changes(content, ["datasets.cifar10.root=other"])) is None
