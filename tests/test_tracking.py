"""Tracking: what TensorBoard, MLflow and W&B read back from their local stores, and what happens when one fails."""

import os
import pty
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
from wandb_files import read_items, read_records, wait_for_the_end

from deepen.config.settings import load_settings
from deepen.core.errors import InputError, Interrupted
from deepen.records.history import Epoch
from deepen.tracking import tracker as tracking_module
from deepen.tracking.packages import require_packages
from deepen.tracking.tracker import Tracker
from pipeline.shared import tracked

TRACKERS = {"tensorboard": "tensorboard", "mlflow": "sqlalchemy", "wandb": "wandb"}
EPOCHS = [Epoch(number, 0.1 / number, 3.0 - number / 8, 2.5 - number / 8, 10.0 * number) for number in range(1, 6)]
SETTINGS = {"model": "I", "width": 0.25, "training.crop": True, "epochs": 5}
WEIGHTS = "ab" * 32
installed = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(name, marks=pytest.mark.skipif(find_spec(package) is None, reason=f"needs the extra {name}"))
        for name, package in TRACKERS.items()
    ],
)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No settings of the user's own trackers, and W&B offline."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_", "DVC_EXP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("HOME", str(tmp_path))


def make(kind, folder):
    return Tracker(kind, folder, folder / "checkpoints", "I")


def read_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for run in sorted((folder / "runs").iterdir()):
        events = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        texts = {
            name.removesuffix("/text_summary"): events.Tensors(name)[-1].tensor_proto.string_val[0].decode()
            for name in events.Tags()["tensors"]
        }
        listed = re.findall(r"^\| (\S+) \| (\S+) \|$", texts.get("settings", ""), re.MULTILINE)
        files = {text.strip("`") for name, text in texts.items() if name.startswith("files/")}
        curves = {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}
        yield {"curves": curves, "settings": dict(listed[2:]), "files": files, "tables": set(texts) & {"ladder"}}


def read_mlflow(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    (experiment,) = (each for each in client.search_experiments() if each.name == folder.name)
    for run in client.search_runs([experiment.experiment_id]):
        number = run.info.run_id
        curves = {
            name: [(each.step, each.value) for each in client.get_metric_history(number, name)]
            for name in run.data.metrics
        }
        assert run.info.artifact_uri.startswith((folder / "mlruns/artifacts").as_uri())
        stored = Path(unquote(run.info.artifact_uri.removeprefix("file://")))
        files = {path.name for path in stored.glob("*/*")}
        tables = {path.stem for path in stored.glob("*.md")}
        status = run.info.status
        yield {"curves": curves, "settings": run.data.params, "files": files, "tables": tables, "status": status}


def read_wandb(folder):
    runs = {}
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime):
        number = path.stem.removeprefix("run-")
        run = runs.setdefault(number, {"curves": {}, "settings": {}, "files": set(), "tables": set()})
        wait_for_the_end(path)
        for record in read_records(path):
            if (kind := record.WhichOneof("record_type")) == "history":
                items = read_items(record.history.item)
                for name in items:
                    run["curves"].setdefault(name, []).append((items["_step"], items[name]))
            elif kind == "summary":
                results = {name: value for name, value in read_items(record.summary.update).items() if "test" in name}
                run["curves"] |= {name: [(5, value)] for name, value in results.items()}
            elif kind == "config":
                run["settings"] |= {name: str(value) for name, value in read_items(record.config.update).items()}
            elif kind == "artifact":
                names = {entry.path for entry in record.artifact.manifest.contents}
                run["tables" if record.artifact.type == "table" else "files"] |= names
            elif kind == "exit":
                run["code"] = record.exit.exit_code
    for run in runs.values():
        run["tables"] = {name.removesuffix(".table.json") for name in run["tables"]}
        yield run


def read(kind, folder):
    """The runs of a tracker's local store, as dicts."""
    return list({"tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}[kind](folder))


def steps(run):
    return [step for step, _ in run["curves"]["validation/top1"]]


def weights_file(folder):
    path = folder / "I.safetensors"
    path.write_bytes(b"weights")
    return path


@installed
def test_a_run_has_the_settings_epochs_results_table_and_weights_of_its_model(kind, tmp_path, capfd):
    folder = tmp_path / "my Ü project [1]"
    folder.mkdir()
    with make(kind, folder) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])
        for row in EPOCHS:
            tracker.log_epoch(row)
        tracker.log_weights(WEIGHTS, weights_file(folder))
    with make(kind, folder) as tracker:
        tracker.open_trained(WEIGHTS, SETTINGS, EPOCHS, folder / "I.safetensors")
        tracker.log_results({"test/top1": 61.5}, SETTINGS)
        tracker.log_table("ladder", [{"model": "I", "top-1": 61.5}], "| model | top-1 |\n| --- | --- |\n| I | 61.5 |\n")
    assert capfd.readouterr() == ("", "")
    if kind == "wandb":  # its projects have no such characters in their names
        assert "my-" in next((folder / "wandb").glob("offline-run-*/*.wandb")).read_bytes().decode("latin-1")
    (run,) = read(kind, folder)
    assert run["curves"]["validation/top1"] == [(row.epoch, row.val_top1) for row in EPOCHS]
    assert run["curves"]["training/loss"] == [(row.epoch, pytest.approx(row.loss)) for row in EPOCHS]
    assert run["curves"]["test/top1"] == [(5, 61.5)]
    assert {"training/lr", "validation/loss"} < run["curves"].keys()
    assert {name: run["settings"][name] for name in SETTINGS} == {name: str(value) for name, value in SETTINGS.items()}
    assert {Path(name).name for name in run["files"]} == {"I.safetensors"}
    assert run["tables"] == {"ladder"}
    assert run.get("status", "FINISHED") == "FINISHED"
    assert run.get("code", 0) == 0


@installed
def test_a_resumed_training_continues_its_run_and_repeats_no_epoch(kind, tmp_path):
    tracker = make(kind, tmp_path)
    tracker.open("I-0a1b", SETTINGS, [])
    for row in EPOCHS[:3]:
        tracker.log_epoch(row)
    tracker.__exit__(Interrupted, Interrupted("stopped", 130), None)
    (run,) = read(kind, tmp_path)
    assert run.get("status", "KILLED") == "KILLED"
    assert run.get("code", 130) == 130
    with make(kind, tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, EPOCHS[:2])  # the last checkpoint was before the third epoch
        for row in EPOCHS[2:]:
            tracker.log_epoch(row)
        tracker.log_weights(WEIGHTS, weights_file(tmp_path))
    (run,) = read(kind, tmp_path)
    assert steps(run) == [1, 2, 3, 4, 5]
    assert len(run["curves"]["training/loss"]) == 5


@installed
def test_epochs_that_a_run_lacks_are_logged_when_it_is_opened_again(kind, tmp_path):
    """As when the tracker failed, or was switched on in the middle of a training."""
    with make(kind, tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])
        tracker.log_epoch(EPOCHS[0])
        tracker.log_weights(WEIGHTS, weights_file(tmp_path))
    with make(kind, tmp_path) as tracker:
        tracker.open_trained(WEIGHTS, SETTINGS, EPOCHS, tmp_path / "I.safetensors")
    (run,) = read(kind, tmp_path)
    assert steps(run) == [1, 2, 3, 4, 5]


@installed
def test_a_model_that_was_trained_without_a_tracker_gets_a_whole_run(kind, tmp_path):
    for _ in range(2):
        with make(kind, tmp_path) as tracker:
            tracker.open_trained(WEIGHTS, SETTINGS, EPOCHS, weights_file(tmp_path))
    (run,) = read(kind, tmp_path)
    assert steps(run) == [1, 2, 3, 4, 5]
    assert run["settings"]["width"] == "0.25"
    assert {Path(name).name for name in run["files"]} == {"I.safetensors"}


@installed
def test_a_training_from_the_start_is_a_new_run_once_the_earlier_one_has_ended(kind, tmp_path):
    for _ in range(2):
        with make(kind, tmp_path) as tracker:
            tracker.open("I-0a1b", SETTINGS, [])
            for row in EPOCHS:
                tracker.log_epoch(row)
            tracker.log_weights(WEIGHTS, weights_file(tmp_path))
    assert [steps(run) for run in read(kind, tmp_path)] == [[1, 2, 3, 4, 5]] * 2


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow"])
def test_a_run_that_was_deleted_is_made_again(kind, tmp_path):
    pytest.importorskip(TRACKERS[kind])
    with make(kind, tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])
        tracker.log_epoch(EPOCHS[0])
    if kind == "mlflow":
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
        client.delete_run(client.search_runs(["1"])[0].info.run_id)
    else:
        (folder,) = (tmp_path / "runs").iterdir()
        folder.rename(tmp_path / "deleted")
    with make(kind, tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, EPOCHS[:2])
    (run,) = read(kind, tmp_path)
    assert steps(run) == [1, 2]


@installed
def test_a_store_that_can_t_be_written_is_one_warning(kind, tmp_path, capfd):
    for name in ("runs", "mlruns", "wandb"):
        (tmp_path / name).write_text("a file, where a folder should be")
    with make(kind, tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])
        for row in EPOCHS:
            tracker.log_epoch(row)
        tracker.log_weights(WEIGHTS, weights_file(tmp_path))
        tracker.log_results({"test/top1": 1.0}, SETTINGS)
    told = capfd.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith(f"warning: I: tracking: {kind} failed (")
    assert line.endswith("); nothing more of this stage is logged there; its results are not affected")


def test_a_server_that_does_not_answer_is_one_warning(tmp_path, capfd, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    began = time.monotonic()
    with make("mlflow", tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])
        tracker.log_epoch(EPOCHS[0])
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("warning: I: tracking: mlflow failed (API request to http://127.0.0.1:9")
    assert time.monotonic() - began < 20
    assert not (tmp_path / "mlruns").exists()


def test_without_a_login_wandb_asks_nothing(tmp_path, monkeypatch):
    """In a process of its own, since wandb keeps its settings; its input is a terminal in which nobody answers."""
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    program = (
        "from pathlib import Path; from deepen.tracking.tracker import Tracker\n"
        f"with Tracker('wandb', Path({str(tmp_path)!r}), Path({str(tmp_path)!r}), 'I') as tracker:\n"
        "    tracker.open('I-0a1b', {}, [])"
    )
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(theirs, "rb") as terminal:
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        assert subprocess.run([sys.executable, "-c", program], timeout=60, **streams).returncode == 0
        (line,) = screen.read(10_000).decode().splitlines()
    assert line.startswith("warning: I: tracking: wandb failed (")
    assert "wandb login" in line


def test_a_failure_in_the_middle_is_one_warning(tmp_path, capfd, monkeypatch):
    """Whatever a library raises, also in a text of several lines."""
    calls = []

    class Failing:
        id, is_new = "1", True

        def __getattr__(self, name):
            def call(*arguments):
                calls.append(name)
                if name == "log_epoch" and arguments[0] == 2:
                    raise RuntimeError("no\nconnection \x1b[31m")
                return 0

            return call

    monkeypatch.setattr(tracking_module, "open_run", lambda *_: Failing())
    with make("mlflow", tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])
        for row in EPOCHS:
            tracker.log_epoch(row)
        tracker.log_weights(WEIGHTS, tmp_path / "I.safetensors")
    assert capfd.readouterr().err == (
        "warning: I: tracking: mlflow failed (no connection \\x1b[31m); nothing more of this stage is logged there; "
        "its results are not affected\n"
    )
    assert calls == ["log_settings", "count_epochs", "log_epoch", "log_epoch"]


def test_an_interruption_is_not_a_failure_of_the_tracker(tmp_path, monkeypatch):
    def stop(*_):
        raise Interrupted("stopped", 130)

    monkeypatch.setattr(tracking_module, "open_run", stop)
    with pytest.raises(Interrupted), make("mlflow", tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])


@pytest.mark.parametrize(
    ("kind", "missing", "named"),
    [
        ("tensorboard", ["tensorboard"], "package tensorboard, which is"),
        ("mlflow", ["mlflow", "sqlalchemy"], "packages mlflow, sqlalchemy, which are"),
        ("wandb", ["wandb"], "package wandb, which is"),
    ],
)
def test_a_missing_package_is_an_error_with_the_command_that_installs_it(kind, missing, named, monkeypatch):
    found = find_spec("os")
    monkeypatch.setattr("deepen.core.packages.find_spec", lambda name: None if name in missing else found)
    with pytest.raises(InputError) as error:
        require_packages(kind)
    assert str(error.value) == (
        f"params.yaml: tracking: {kind} needs the Python {named} not installed; in Deepen's "
        f"folder, run python -m pip install --editable '.[{kind}]', or write tracking: none"
    )


def test_a_server_needs_no_database_here(monkeypatch):
    monkeypatch.setattr(
        "deepen.core.packages.find_spec", lambda name: None if name == "sqlalchemy" else find_spec("os")
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    require_packages("mlflow")


def test_the_folder_of_a_tracker_is_not_its_package(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "wandb")
    with pytest.raises(InputError, match="needs the Python package wandb"):
        require_packages("wandb")


def test_an_installed_deepen_has_no_folder_to_install_from(tmp_path, monkeypatch):
    monkeypatch.setattr("deepen.core.packages.find_spec", lambda name: None)
    monkeypatch.setattr("deepen.core.packages._CLONE", tmp_path)
    with pytest.raises(InputError) as error:
        require_packages("mlflow")
    assert str(error.value) == (
        "params.yaml: tracking: mlflow needs the Python packages mlflow, sqlalchemy, alembic, which are not installed; "
        "run python -m pip install mlflow sqlalchemy alembic, or write tracking: none"
    )


def test_a_package_that_went_missing_after_the_check_is_a_warning(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("deepen.core.packages.find_spec", lambda name: None)
    with make("wandb", tmp_path) as tracker:
        tracker.open("I-0a1b", SETTINGS, [])
    (line,) = capfd.readouterr().err.splitlines()
    assert "python -m pip install --editable '.[wandb]'" in line


def test_nothing_is_written_without_a_tracker_and_by_other_ranks(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tracked, "BASE", tmp_path)
    settings = load_settings()
    assert settings.tracking == "none"
    for each, rank in ((settings, 0), (settings.model_copy(update={"tracking": "tensorboard"}), 1)):
        with tracked.make_tracker(each, "I", rank) as tracker:
            tracker.open("I-0a1b", SETTINGS, [])
            tracker.log_epoch(EPOCHS[0])
            tracker.log_weights(WEIGHTS, tmp_path / "I.safetensors")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
