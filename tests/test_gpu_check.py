"""The GPU check, rehearsed on a CPU: its sections, and what it records when some of them fail."""

import json
import os
import subprocess
import sys
import time
from collections import deque

import numpy as np
import pytest
import torch
from conftest import photos, write_tree
from dvc_project import ROOT

from benchmarks.data import make_random_images
from benchmarks.gpu import __main__ as program
from benchmarks.gpu import accuracy, agreement, cuda_tests, inference, kernels, precision, speed
from benchmarks.gpu.bench import REHEARSAL, load_parts, prepare
from benchmarks.gpu.record import Record
from benchmarks.gpu.sections import Section, SectionFailed, Worker

PARTS = {"train": make_random_images(300), "test": make_random_images(60)}


@pytest.fixture(scope="module")
def bench():
    return prepare(REHEARSAL, PARTS, "cpu")


@pytest.fixture
def record(tmp_path):
    return Record(tmp_path / "results", width=1.0)


def test_steps_are_timed_against_matrix_products(bench):
    rows = list(speed.time_steps(bench))
    assert [(row["model"], row["recipe"], row["way"]) for row in rows] == [
        (model, recipe, "eager") for model in ("I", "II", "III") for recipe in ("onecycle", "published")
    ]
    assert all(row["images/s"] * row["step (ms)"] == pytest.approx(128_000) for row in rows)
    assert [row["batch"] for row in speed.time_batches(bench)] == [8, 16, 8, 16]
    assert [row["dtype"] for row in speed.measure_reference(bench)] == ["bfloat16", "float32"]
    assert [row["input channels"] for row in speed.time_first_convolution(bench)] == [3, 4, 8]


def test_every_precision_is_timed_and_trained_in(bench):
    before = torch.backends.cudnn.allow_tf32
    rows = list(precision.time_precisions(bench))
    assert [row["precision"] for row in rows] == ["float32", "tf32", "bfloat16"]
    assert all(0 <= row["top1 of I"] <= 100 for row in rows)
    assert torch.backends.cudnn.allow_tf32 == before
    assert all(row["step (ms)"] > 0 for row in rows)


def test_operations_are_counted_for_one_step(bench):
    counts = {row["model"]: row["kernels"] for row in kernels.count_kernels(bench) if row["recipe"] == "onecycle"}
    assert 0 < counts["I"] < counts["III"]
    listed = list(kernels.list_kernels(bench))
    assert {row["model"] for row in listed} == {"I", "III"}
    assert any("convolution" in row["kernel"] and row["calls"] >= 3 for row in listed)


def test_trainings_are_compared_bit_for_bit(bench):
    rows = list(agreement.compare_trainings(bench))
    assert [row["replayed, and"] for row in rows[:4]] == ["repeated", "eager", "resumed", "mapped images"]
    assert len(rows) == 16
    assert all(row["equal"] and row["largest difference"] == 0 for row in rows)


def test_trainings_that_differ_are_told_after_all_of_them(bench, monkeypatch):
    def train_differently(*arguments):
        return {key: tensor + 1e-3 for key, tensor in agreement.train_whole(*arguments).items()}

    monkeypatch.setattr(agreement, "train_mapped", train_differently)
    monkeypatch.setattr(agreement, "outermost", lambda plans: ["I"])
    rows = []
    with pytest.raises(SectionFailed, match="not equal bit for bit: I onecycle mapped images, I published mapped"):
        deque(map(rows.append, agreement.compare_trainings(bench)))
    different = [row for row in rows if not row["equal"]]
    assert [row["replayed, and"] for row in different] == ["mapped images"] * 2
    assert all(0.0009 < row["largest difference"] < 0.0011 for row in different)


def test_the_ladder_trains_both_ways_with_seeds_in_turns(bench):
    usual, more = list(accuracy.train_usual_ladder(bench)), list(accuracy.train_more(bench))
    assert [(row["seed"], row["model"]) for row in usual] == [(0, "I"), (0, "II"), (0, "III")]
    assert [row["seed"] for row in more] == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert all(0 <= row["top1"] <= 100 and row["epochs"] == REHEARSAL.epochs[row["model"]] for row in usual + more)


def test_evaluation_and_prediction_are_timed(bench):
    assert [row["images"] for row in inference.time_evaluation(bench)] == [60] * 4
    for row in inference.time_prediction(bench):
        assert row["images"] == 20
        assert row["files/s"] > 0
        assert row["arrays/s"] > 0


def test_the_ladder_trains_on_what_prepare_leaves_for_training(tmp_path):
    parts = load_parts(write_tree(tmp_path / "photos", photos(train=20, test=3)), REHEARSAL)
    assert len(parts["train"]) == 36  # a tenth is held out
    assert np.bincount(parts["test"].labels).tolist() == [3, 3]


def test_epochs_are_those_of_params_yaml_but_in_a_rehearsal(bench):
    assert accuracy.choose_usual_epochs(bench) == {"I": 1, "II": 1, "III": 2}
    whole = prepare(program.Size(width=0.03125), {"train": make_random_images(45_000), "test": PARTS["test"]}, "cpu")
    assert accuracy.choose_usual_epochs(whole) == {"I": 3, "II": 3, "III": 12}


def give_rows(bench):
    yield {"model": "I", "device": bench.device.type}


def fail_after_a_row(bench):
    yield {"row": 1}
    raise ValueError("the second row is wrong\nin detail")


def find_a_fault(bench):
    yield {"row": 1}
    raise SectionFailed("1 is not 2")


def end_the_process(bench):
    yield {"row": 1}
    os._exit(7)


def hang(bench):
    yield {"row": 1}
    time.sleep(600)


@pytest.mark.slow
def test_a_section_that_fails_is_recorded_and_the_others_run(record, capfd):
    sections = [
        Section("Good", give_rows),
        Section("Wrong", fail_after_a_row),
        Section("Fault", find_a_fault),
        Section("Ended", end_the_process),
        Section("Hanging", hang, share=0.1),
        Section("As long as there is time", hang, share=0.1, open_ended=True),
        Section("Good again", give_rows),
    ]
    program.check(record, Worker(REHEARSAL, PARTS, "cpu"), sections, time.monotonic() + 200, 50)
    content = json.loads(record.json.read_text())
    found = {name: (section["fault"], len(section["rows"])) for name, section in content["sections"].items()}
    assert found == {
        "Good": ("", 1),
        "Wrong": ("ValueError: the second row is wrong", 1),
        "Fault": ("1 is not 2", 1),
        "Ended": ("the process ended with code 7", 1),
        "Hanging": ("stopped after 5 seconds; give it more with --seconds", 1),
        "As long as there is time": ("", 1),
        "Good again": ("", 1),
    }
    assert [fault.partition(":")[0] for fault in record.faults] == ["Wrong", "Fault", "Ended", "Hanging"]


def test_without_time_the_rest_of_the_sections_is_named(record):
    program.check(record, Worker(REHEARSAL, PARTS, "cpu"), [Section("Late", give_rows)], time.monotonic(), 50)
    assert record.faults == ["Late: no time was left; give it more with --seconds"]


def test_each_row_is_in_the_files_at_once(record):
    record.begin("Steps")
    record.add("Steps", {"model": "I", "step (ms)": 1.23456})
    content = json.loads(record.json.read_text())
    assert content["sections"]["Steps"]["rows"] == [{"model": "I", "step (ms)": 1.23456}]
    assert content["sections"]["Steps"]["fault"] == "stopped before its end"
    assert not content["complete"]
    assert "Failed: stopped before its end" in record.markdown.read_text()
    record.end("Steps", "")
    record.complete()
    assert json.loads(record.json.read_text())["complete"]
    text = record.markdown.read_text()
    assert "| I       |       1.235 |" in text
    assert "Failed" not in text
    assert torch.__version__.partition("+")[0] in text


def test_the_record_names_the_commit_and_the_machine(record):
    record.begin("Steps")
    content = json.loads(record.json.read_text())
    assert len(content["commit"].removesuffix("-dirty")) == 12 or content["commit"] == "unknown"
    assert content["machine"]["cores"] == os.cpu_count()


TESTS = """
import pytest

@pytest.mark.cuda
def test_good(): pass

@pytest.mark.cuda
@pytest.mark.parametrize("x", [1, 2])
def test_bad(x): assert x == 1, "x is wrong"

@pytest.mark.cuda
def test_skipped(): pytest.skip("no such card")

def test_of_the_cpu(): raise AssertionError
"""


def run_tests(folder, monkeypatch, seconds=60.0, **files):
    for name, text in files.items():
        (folder / "tests").mkdir(exist_ok=True)
        (folder / "tests" / f"{name}.py").write_text(text)
    monkeypatch.setattr(cuda_tests, "ROOT", folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    rows = []
    return cuda_tests.run_cuda_tests(rows.append, seconds), rows


@pytest.mark.slow
def test_tests_marked_cuda_run_and_each_has_a_row(tmp_path, monkeypatch):
    fault, rows = run_tests(tmp_path, monkeypatch, test_one=TESTS, test_other="def test_x(): raise AssertionError")
    assert fault == "1 of 4 tests failed"
    assert [(row["test"], row["outcome"]) for row in rows] == [
        ("test_one.py::test_good", "passed"),
        ("test_one.py::test_bad[1]", "passed"),
        ("test_one.py::test_bad[2]", "failed"),
        ("test_one.py::test_skipped", "skipped"),
    ]
    assert "x is wrong" in rows[2]["message"]
    assert "no such card" in rows[3]["message"]


@pytest.mark.slow
def test_tests_that_cannot_be_imported_or_do_not_end_are_a_fault(tmp_path, monkeypatch):
    fault, rows = run_tests(tmp_path, monkeypatch, test_one="import nothing_of_this_name  # mark.cuda")
    assert fault == "1 of 1 tests failed"
    assert "nothing_of_this_name" in rows[0]["message"]
    hanging = "import pytest, time\n@pytest.mark.cuda\ndef test_hanging(): time.sleep(600)"
    fault, rows = run_tests(tmp_path, monkeypatch, 5.0, test_one=hanging)
    assert fault == "stopped after 5 seconds or by signal 9"


def run_program(*words, **environment):
    command = [sys.executable, "-m", "benchmarks.gpu", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.slow
def test_without_a_card_it_says_so_in_a_line(tmp_path):
    done = run_program(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: device: PyTorch {torch.__version__} finds no CUDA device; run this on a ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_images_that_are_missing_are_an_error_in_a_line(tmp_path):
    done = run_program(tmp_path / "none", "--rehearse")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "none" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_failed_section_gives_exit_code_1(monkeypatch, record, capsys):
    record.begin("Steps")
    record.end("Steps", "too slow")
    monkeypatch.setattr(program, "parse_arguments", lambda: None)
    monkeypatch.setattr(program, "run", lambda arguments: record)
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 1
    assert "- Steps: too slow" in capsys.readouterr().err


@pytest.mark.slow
def test_neither_the_check_nor_its_tests_need_dvc():
    """A borrowed card has PyTorch, and seldom DVC."""
    code = (
        "import sys; sys.path[:0] = ['tests/helpers', 'tests']; sys.modules['dvc'] = None; "
        "import benchmarks.gpu.__main__, conftest, test_cuda_graph"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_make_asks_for_images():
    done = subprocess.run(["make", "gpu-check", "INSTALLED="], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "IMAGES: missing; write for example make gpu-check IMAGES=" in done.stderr
