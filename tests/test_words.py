"""The words of the command line: help that fits, and for each that is wrong one line with the nearest right one."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from dvc_project import ROOT

from deepen.cli import main, prediction_formats
from deepen.cli.missing_path import suggest_path
from deepen.cli.parser import _COMMANDS
from deepen.cli.stages import find_argument_faults
from deepen.core.nearest import find_nearest, suggest_name

NAMES = [module.__name__.rpartition(".")[2].replace("import_weights", "import") for module in _COMMANDS]


def refused(capsys, *words):
    with pytest.raises(SystemExit) as exit:
        main(words)
    assert exit.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("predic", ["predict", "export"], "predict"),
        ("IIX", ["I", "II", "III"], "II"),
        ("IV", ["I", "II", "III"], None),
        ("CIFAR", ["digits", "cifar10"], "cifar10"),
        ("iii", ["I", "II", "III"], "III"),
        ("photos", ["digits", "cifar10"], None),
        ("x" * 100_000, ["x"], None),
        ("", ["x"], None),
    ],
)
def test_the_nearest_word_is_suggested(word, known, found):
    assert find_nearest(word, known) == found
    assert suggest_name(word, known) == (f"; did you mean {found}?" if found else "")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["predic", "--top", "x"], "predic: unknown command; did you mean predict? see deepen --help"),
        (["\x1b[31m"], r"'\x1b[31m': unknown command; see deepen --help"),
        (["results", "x"], "x: unexpected argument; see deepen results --help"),
        (["ladder"], "missing: NAME; see deepen ladder --help"),
        (["--versoin"], "--versoin: unknown option; did you mean --version? see deepen --help"),
        (["new", "IV", "--aftre", "III"], "--aftre: unknown option; did you mean --after? see deepen new --help"),
        (["predict", "--devcie=cpu"], "--devcie: unknown option; did you mean --device? see deepen predict --help"),
        (["predict", "--xyz", "w"], "--xyz: unknown option; see deepen predict --help"),
        (["predict"], "missing: WEIGHTS, IMAGE; see deepen predict --help"),
        (["predict", "w", "x", "--device", "cdua:1"], "--device: must be one of auto, cpu, mps, cuda and cuda:<number>, got 'cdua:1'; did you mean cuda:1? see deepen predict --help"),
        (["evaluate", "w", "x", "--device", "cuda:01"], "--device: must be one of auto, cpu, mps, cuda and cuda:<number>, got 'cuda:01'; did you mean cuda:1? see deepen evaluate --help"),
        (["evaluate", "w", "x", "--part", "tset"], "--part: must be one of train, val, valid, validation, test, got 'tset'; did you mean test? see deepen evaluate --help"),
        (["predict", "w", "x", "--top", "five"], "--top: must be a whole number, got 'five'; see deepen predict --help"),
        (["predict", "w", "x", "--top", "1" + "0" * 18], "--top: must have at most 18 digits, got '1000000000000000000'; see deepen predict --help"),
        (["predict", "w", "x", "--top"], "--top: expected one argument; see deepen predict --help"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line(capsys, words, error):
    assert refused(capsys, *words) == f"error: {error}\n"


def test_words_after_two_dashes_are_not_options(capsys):
    with pytest.raises(SystemExit, match="no such file"):
        main(["predict", "gone.safetensors", "--", "--a photo.jpg"])


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_80_columns_and_has_examples_of_words_that_exist(capsys, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with suppress(SystemExit):
        main([name, "--help"])
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    described, _, examples = said.rpartition("\nexample")
    assert f"deepen {name}" in examples
    for line in re.findall(rf"deepen {name}(.*)", examples):
        assert all(option in described for option in re.findall(r" (--[a-z-]+)", line)) or name in ("exp", "ladder")


def test_the_list_of_commands_fits_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with suppress(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert re.findall(r"^    ([a-z]+) +\w", said, re.MULTILINE) == NAMES
    assert max(map(len, said.splitlines())) <= 80


class TestWeights:
    def test_an_unknown_weights_file_is_answered_with_those_that_exist(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "weights/init").mkdir(parents=True)
        for name in ("I", "II", "III", "scratch"):
            (tmp_path / f"weights/{name}.safetensors").touch()
        listed = "no such file; weights/ contains I, II, III"
        for word, error in (
            ("weights/IIX.safetensors", f"{listed}; did you mean II?"),
            ("weights/IV.safetensors", listed),
            ("weights/II", f"{listed}; did you mean II?; add the extension .safetensors"),
            ("III.safetensors", f"{listed}; did you mean III?"),
        ):
            for command in (["predict", word, "x"], ["evaluate", word, "x"], ["export", word, "--to", "onnx"]):
                with pytest.raises(SystemExit) as exit:
                    main(command)
                assert str(exit.value) == f"error: {word}: {error}"

    @pytest.mark.parametrize("link", [False, True])
    def test_weights_of_untrained_models_are_named_as_untrained(self, tmp_path, monkeypatch, capsys, link):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "weights/init").mkdir(parents=True)
        (tmp_path / "weights/init/II.safetensors").write_text("x")
        path = "weights/init/II.safetensors"
        if link:
            (tmp_path / "linked").symlink_to(path)
            path = "linked"
        with pytest.raises(SystemExit, match="invalid safetensors file"):
            main(["evaluate", path, "."])
        assert capsys.readouterr().err.startswith(
            f"warning: {path}: untrained weights, from which II starts; trained ones are in weights/, not weights/init/\n"
        )


@pytest.mark.parametrize(
    "words",
    [
        *(["checkpoints"], ["watch"], ["results"], ["queue"], ["models"], ["compare", "I", "II"]),
        *(["new", "IV", "--after", "III"], ["import", "x.pth"]),
    ],
)
def test_a_project_that_is_none_is_told_alike_by_all_commands(tmp_path, words):
    (tmp_path / "file").touch()
    for folder, fault in (
        (tmp_path / "gone", "no such folder"),
        (tmp_path / "file", "is a file, not a folder"),
        (tmp_path, "not a Deepen project, params.yaml is missing"),
    ):
        with pytest.raises(SystemExit) as exit:
            main([*words, "--project", str(folder)])
        remedy = "run the command in a project's folder, or add --project FOLDER; deepen init NEW starts a project"
        assert str(exit.value) == f"error: --project {folder}: {fault}; {remedy}"


def test_a_missing_settings_file_is_one_line(tmp_path):
    (tmp_path / "params.yaml").touch()
    with pytest.raises(SystemExit, match=rf"/param\.yaml: no such file; did you mean {tmp_path}/params\.yaml\?$"):
        main(["settings", str(tmp_path / "param.yaml")])


def test_a_path_that_is_like_another_is_suggested(tmp_path):
    (tmp_path / "photos").mkdir()
    found = tmp_path / "photos"
    assert suggest_path(tmp_path / "photo") == f"; did you mean {found}?"
    assert suggest_path(tmp_path / "xyz") == f"; {tmp_path} contains photos"
    assert suggest_path(tmp_path / "photo/cat.jpg") == f"; {tmp_path / 'photo'} does not exist; did you mean {found}?"
    assert suggest_path(tmp_path / "gone/far/cat.jpg") == f"; {tmp_path / 'gone'} does not exist"
    assert suggest_path(found / "cat.jpg") == f"; {found} is empty"
    for number in range(1, 6):
        (found / f"IMG_{number:02}.jpg").touch()
    holds = f"; {found} contains IMG_01.jpg, IMG_02.jpg, IMG_03.jpg and 2 more"
    for word, told in (
        ("IMG_00.jpg", holds),  # it may be any of them
        ("cat.jpg", holds),
        ("img_03.jpg", f"; did you mean {found / 'IMG_03.jpg'}?"),
        ("IMG_03.png", f"; did you mean {found / 'IMG_03.jpg'}?"),
        ("IMGE_03.jpg", f"; did you mean {found / 'IMG_03.jpg'}?"),
    ):
        assert suggest_path(found / word) == told
    (tmp_path / "I.safetensors").write_text("x")
    with pytest.raises(SystemExit, match=rf"error: .*/phtos: no such folder or archive; did you mean {found}\?$"):
        main(["evaluate", str(tmp_path / "I.safetensors"), str(tmp_path / "phtos")])
    with pytest.raises(SystemExit, match=rf"phtos: no such file or folder; did you mean {found}\?$"):
        main(["predict", str(tmp_path / "I.safetensors"), str(tmp_path / "phtos")])


def test_predictions_too_wide_for_a_table_are_paragraphs(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name, count in (("cat", 5), ("golden retriever of a long name", 5)):
        prediction_formats.write_table(
            [prediction_formats.FilePrediction(Path("a.jpg"), [(name, 0.25)] * count, "", ())]
        )
    table, told = capsys.readouterr().out.split("\na.jpg: ")
    assert table.splitlines()[2].split() == ["a.jpg", *["cat", "25.0", "%"] * 5]
    assert " ".join(told.split()) == ", ".join(["golden retriever of a long name 25.0 %"] * 5)
    assert max(map(len, f"a.jpg: {told}".splitlines())) <= 80


class TestStages:
    STAGES = {"prepare": {"cmd": ""}, "train": {"foreach": "${models}", "do": {}}, "report": {"cmd": ""}}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("words", "faults"),
        [
            (["--temp", "-n", "repotr", "-S", "lr=1", "--set-param", "x", "train@I", "report", "train"], []),
            (["dvc.yaml:x", "data/x", "-f", "--set", "x=1", "--new-option-of-dvc"], []),
            (["repotr"], ["repotr: unknown stage; did you mean report?"]),
            (["xyz"], ["xyz: unknown stage; use one of prepare, train, report"]),
            (["trian@II", "--tmep"], ["trian@II: unknown stage; did you mean train@II?", "--tmep: unknown option; did you mean --temp?"]),
            (["train@III"], ["train@III: unknown stage; did you mean train@II?"]),
        ],
    )  # fmt: skip
    def test_unknown_words_of_dvc_exp_run_are_named_with_the_nearest(self, words, faults):
        assert list(find_argument_faults(words, self.STAGES, ["I", "II"])) == faults


def test_the_documentation_names_commands_that_exist():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"^(?:\$ )?deepen ([a-z]+)", page.read_text(), re.MULTILINE):
            assert name in NAMES, (page.name, name)
