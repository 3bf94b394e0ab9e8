"""The GPU check, rehearsed on a CPU: its sections, and what it records when some of them fail."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections import deque
from contextlib import suppress

import numpy as np
import pytest
import torch
from conftest import photos, write_tree
from dvc_project import ROOT

from benchmarks.data import make_random_images
from benchmarks.gpu import __main__ as program
from benchmarks.gpu import accuracy, agreement, cuda_tests, inference, kernels, precision, sections, speed
from benchmarks.gpu.bench import REHEARSAL, load_parts, prepare
from benchmarks.gpu.record import Record
from benchmarks.gpu.sections import Section, SectionFailed, Worker
from deepen.core.errors import InputError

PARTS = {"train": make_random_images(300), "test": make_random_images(60)}


@pytest.fixture(scope="module")
def bench():
    return prepare(REHEARSAL, PARTS, "cpu")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """What a card repeats, for a time or a comparison, a CPU does a few times."""
    monkeypatch.setattr(agreement, "_STEPS", 4)
    monkeypatch.setattr(speed, "_EPOCHS", 1)


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


@pytest.mark.slow
def test_a_batch_has_at_most_all_images(bench):
    size = dataclasses.replace(REHEARSAL, batches=(8, 512, 1024))
    found = list(speed.time_batches(dataclasses.replace(bench, size=size)))
    assert [row["batch"] for row in found] == [8, 300, 8, 300]
    assert all(row["images/s"] * row["step (ms)"] == pytest.approx(1000 * row["batch"]) for row in found)


SECTIONS = [section for section in program.SECTIONS if section.compute.__module__ != accuracy.__name__]


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS, ids=[section.name for section in SECTIONS])
def test_a_row_that_runs_out_of_memory_has_that_fault_and_the_others_are_measured(bench, monkeypatch, section):
    """The first measurement of each section does."""
    calls = []

    def fail(function):
        def call(*arguments, **options):
            calls.append(None)
            if len(calls) == 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")
            return function(*arguments, **options)

        return call

    for module, name in (
        (agreement, "train_mapped"), (kernels, "profile_steps"), (speed, "time_step"), (precision, "time_step"),
        (speed, "measure_matmul_rate"), (inference, "evaluate"), (inference, "_measure_rate"),
    ):  # fmt: skip
        if module.__name__ == section.compute.__module__ and (
            name != "measure_matmul_rate" or "Matrix" in section.name
        ):
            monkeypatch.setattr(module, name, fail(getattr(module, name)))
    monkeypatch.setattr(speed.nn.Module, "compile", lambda self: None)
    if section.compute is speed.time_first_convolution:
        monkeypatch.setattr(speed, "measure_median_seconds", fail(speed.measure_median_seconds))
    connection = Connection()
    fault = sections._compute(section, bench, connection)
    faults = [row.get("fault") for row in connection.rows]
    if section.compute is speed.measure_reference:  # smaller matrices fit
        assert [row["side"] for row in connection.rows] == [64, 128]
        return
    assert [each for each in faults if each] == ["CUDA out of memory. Tried to allocate 2.00 GiB."]
    assert fault == f"1 of {len(faults)} rows ran out of memory"
    assert faults[-1] is None
    assert len(faults) > 1


class Connection:
    """Where a worker sends its rows."""

    def __init__(self):
        self.rows = []

    def send(self, message):
        self.rows.append(message[1])


def test_other_errors_end_a_section(bench):
    def divide():
        raise RuntimeError("no such kernel")

    with pytest.raises(RuntimeError, match="no such kernel"):
        sections.measure_row({}, divide)


def test_a_step_that_is_not_replayed_for_lack_of_memory_says_so(bench, monkeypatch):
    monkeypatch.setattr(speed.Trainer, "take_warning", lambda self: "a CUDA graph does not fit")
    assert speed.time_step(bench, "I", "onecycle", 1.0)["note"] == "a CUDA graph does not fit"


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
    assert [(row["images"], row["batch"]) for row in inference.time_evaluation(bench)] == [(60, 60)] * 2
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
    chosen = [
        Section("Good", give_rows),
        Section("Wrong", fail_after_a_row),
        Section("Fault", find_a_fault),
        Section("Ended", end_the_process),
        Section("Hanging", hang, share=0.1),
        Section("As long as there is time", hang, share=0.1, open_ended=True),
        Section("Good again", give_rows),
    ]
    program.check(record, Worker(REHEARSAL, PARTS, "cpu"), chosen, time.monotonic() + 200, 50)
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


def test_what_an_earlier_run_has_measured_stays_until_a_row_is_measured(tmp_path):
    folder = tmp_path / "results"
    earlier = Record(folder, width=1.0)
    earlier.begin("Steps")  # nothing was there
    assert earlier.is_written
    earlier.add("Steps", {"model": "I"})
    before = earlier.json.read_bytes(), earlier.markdown.read_bytes()
    record = Record(folder, width=0.5)
    record.begin("Steps")
    record.end("Steps", "too slow")
    record.complete()
    assert (record.json.read_bytes(), record.markdown.read_bytes()) == before
    assert not record.is_written
    record.begin("Kernels")
    record.add("Kernels", {"model": "II"})
    content = json.loads(record.json.read_text())
    assert content["settings"] == {"width": 0.5}
    assert content["sections"]["Steps"]["fault"] == "too slow"
    assert record.is_written


def test_a_run_that_measured_nothing_says_whose_files_these_are(monkeypatch, record, capsys):
    record.begin("Steps")
    record.add("Steps", {"model": "I"})
    again = Record(record.json.parent, width=1.0)
    monkeypatch.setattr(program, "parse_arguments", lambda: None)
    for found, told in ((record, "Written: "), (again, "Nothing was measured; ")):
        monkeypatch.setattr(program, "run", lambda arguments, found=found: found)
        with suppress(SystemExit):
            program.main()
        assert told in capsys.readouterr().out


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
    fault, rows = run_tests(tmp_path, monkeypatch, test_one=TESTS, conftest="import nothing_of_this_name")
    assert rows == []
    assert fault.startswith("pytest ended with code 4 after 0 tests: ")
    assert "nothing_of_this_name" in fault
    (tmp_path / "tests/conftest.py").unlink()
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
    rule = "no such file or directory; set IMAGES to a folder or an archive with train/<class>/*"
    assert done.stderr == f"error: {tmp_path / 'none'}: {rule}\n"


def test_all_that_is_missing_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError) as error:
        program.run(parse(monkeypatch, tmp_path / "none"))
    assert len(error.value.faults) == 2
    assert error.value.faults[0].startswith(f"{tmp_path / 'none'}: no such file or directory; set IMAGES to")
    assert error.value.faults[1].startswith("device: PyTorch ")


def test_images_in_the_wrong_place_are_an_error_that_names_the_argument(tmp_path):
    write_tree(tmp_path, photos(test=0))
    with pytest.raises(InputError) as error:
        load_parts(tmp_path / "train", REHEARSAL)
    assert "set IMAGES to" in str(error.value)
    assert "set root" not in str(error.value)


def parse(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gpu", *map(str, words)])
    return program.parse_arguments()


@pytest.mark.parametrize("seconds", ["-3", "0", "nan", "inf", "1e7", "x", ""])
def test_a_duration_that_is_not_positive_is_an_error(monkeypatch, capsys, seconds):
    with pytest.raises(SystemExit) as exit:
        parse(monkeypatch, "images", "--seconds", seconds)
    assert exit.value.code == 2
    shown = repr(seconds)
    assert capsys.readouterr().err == (
        f"error: --seconds: must be a number of seconds above 0 and up to 1,000,000, got {shown}; "
        "write for example 300; see python -m benchmarks.gpu --help\n"
    )


def test_a_duration_is_a_number(monkeypatch):
    assert parse(monkeypatch, "images", "--seconds", "0.5").seconds == 0.5
    assert parse(monkeypatch, "images").seconds == 300


def test_a_folder_for_results_that_can_t_be_made_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    write_tree(tmp_path, photos())
    with pytest.raises(
        InputError, match=r"file/results: can't be written \(Not a directory\); move or remove what is at"
    ):
        program.run(parse(monkeypatch, tmp_path, "--rehearse", "--output", tmp_path / "file/results"))


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
def test_the_check_and_its_tests_need_few_packages():
    """A borrowed card has PyTorch, and seldom the rest; docs/results.md lists what else is needed."""
    documented = re.search(r"PyTorch,((?: [a-z.]+,?| and)+): `python -m benchmarks", read("docs/results.md"))
    needed = set(re.findall("[a-z.]+", documented[1])) - {"and"} | {"torch"}
    project = tomllib.loads(read("pyproject.toml"))["project"]
    every = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *project["optional-dependencies"]["onnx"],
    ]
    names = {re.match("[A-Za-z0-9.-]+", text)[0] for text in every}
    assert needed <= names
    modules = {"scikit-learn": "sklearn", "vl-convert-python": "vl_convert", "hydra-core": "hydra"}
    missing = sorted(modules.get(name, name) for name in names - needed)
    code = (
        f"import sys; sys.path[:0] = ['tests/helpers', 'tests']; sys.modules.update(dict.fromkeys({missing})); "
        "import benchmarks.gpu.__main__, conftest, test_cuda_graph, test_accuracy, test_gpu_check"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def read(path):
    return " ".join((ROOT / path).read_text().split()) if path.endswith(".md") else (ROOT / path).read_text()


def test_make_asks_for_images():
    done = subprocess.run(["make", "gpu-check", "INSTALLED="], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "IMAGES: missing; write for example make gpu-check IMAGES=" in done.stderr
