"""Applied settings change their values in params.yaml, and no other character."""

import difflib
from pathlib import Path

import pytest

from deepen.cli.kept_layout import keep_layout, merge_settings
from deepen.core.yaml_reading import parse_yaml
from deepen.experiments.changes import apply_changes
from deepen.project import settings_text

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


BLOCK = TEXT.replace(
    "layers: conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024\n",
    "layers: >-\n      conv3-128 maxpool conv3-256\n      maxpool conv3-512 maxpool fc-1024\n\n",
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_value_of_several_lines_is_replaced(end):
    text = BLOCK.replace("\n", end)
    after = apply_changes(parse_yaml(text, "a"), ["models.I.layers='conv3-128 fc-64'", "models.I.epochs=3"])
    new = merge_settings(text, after)
    assert parse_yaml(new, "a") == after
    assert [line.strip() for line in changed_lines(new, text)] == ["layers: conv3-128 fc-64", "epochs: 3"]
    assert new.count(end) == new.count("\n") == text.count(end) - 2


@pytest.mark.parametrize(
    ("text", "after", "new"),
    [
        ("a: |\n  line\n  two\nb: 1\n", {"a": "x\ny\n", "b": 2}, 'a: "x\\ny\\n"\nb: 2\n'),
        ("a: >\n  line\n\n\n# c\nb: 1", {"a": "x", "b": 1}, "a: x\n\n\n# c\nb: 1"),
        ("s:\n  a: |+\n    k\n\n", {"s": {"a": 1}}, "s:\n  a: 1\n\n"),
        ("a: 'x\n  y'\nb: 1\n", {"a": "z", "b": 1}, "a: z\nb: 1\n"),
        ("a: x\n  y\nb: 1\n", {"a": "z", "b": 1}, "a: z\nb: 1\n"),
        ("a: none\nb: ~\n", {"a": None, "b": "none"}, "a: null\nb: none\n"),
        ("a: |\n  k", {"a": "x"}, "a: x"),
        ("a: 1\n", {"a": 1, "b": None, "c": "x\n"}, 'a: 1\nb:\nc: "x\\n"\n'),
        ("a: 1\n", {"a": {"b": 1}}, None),
        ("a:\nb: 1\n", {"a": "x", "b": 1}, None),
    ],
)
def test_each_kind_of_value_is_replaced_or_dvc_keeps_its_layout(text, after, new):
    found = merge_settings(text, after)
    assert found == new
    assert found is None or parse_yaml(found, "a") == after


def test_a_text_that_edits_made_invalid_is_dropped(monkeypatch):
    for broken in ("a: [", "a: 1\na: 2\n"):
        monkeypatch.setattr(settings_text, "replace_values", lambda text, changed, broken=broken: broken)
        for after in ({"a": 2}, {"a": 2, "b": 1}):
            assert merge_settings("a: 1\n", after) is None
