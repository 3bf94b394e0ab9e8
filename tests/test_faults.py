"""What goes wrong around a training: disks, memory, devices, homes, a second dvc, a start that is dead."""

import contextlib
import errno
import os
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from bad_input import CARD
from callbacks import Hooks
from dvc_project import ROOT
from test_checkpoint import EXAMPLE
from test_kills import wait_for
from test_training import recipe, run, trainer_for

from deepen.core.errors import InputError
from deepen.core.files import make_write_error, write_text
from deepen.data.images import load_images
from deepen.data.statistics import load_statistics
from deepen.models.weights import save_weights
from deepen.records.history import Epoch
from deepen.records.ladder import load_ladder_results
from deepen.records.record import load_records
from deepen.training.checkpoint import Checkpoints
from deepen.training.live import LiveCurves
from deepen.training.loop import train

FULL = r"can't be written \(No space left on device\); free some disk space and run it again"


class TestFullDisk:
    def test_images_that_fill_the_disk_are_one_error(self, small_disk, colored):
        colored.save(small_disk / "train.safetensors")
        before = (small_disk / "train.safetensors").read_bytes()
        large = colored.select(torch.arange(60).repeat(100).numpy())
        with pytest.raises(InputError, match=rf"train\.safetensors: {FULL}"):
            large.save(small_disk / "train.safetensors")
        assert (small_disk / "train.safetensors").read_bytes() == before
        assert os.listdir(small_disk) == ["train.safetensors"]

    def test_weights_that_fill_the_disk_are_one_error(self, small_disk):
        with pytest.raises(InputError, match=rf"III\.safetensors: {FULL}"):
            save_weights(small_disk / "III.safetensors", {"a": torch.zeros(100_000)}, CARD)
        assert os.listdir(small_disk) == []

    def test_curves_that_fill_the_disk_are_one_error(self, small_disk):
        row = Epoch(1, 0.1, 2.0, 2.0, 50.0)
        curves = LiveCurves(small_disk / "curves.tsv")
        curves.epoch(row)
        (small_disk / "ballast").write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
        with pytest.raises(InputError, match=rf"curves\.tsv: {FULL}"):
            add_epochs(curves, [replace(row, epoch=epoch) for epoch in range(2, 5000)])
        assert (small_disk / "curves.tsv").read_text().startswith("epoch")

    def test_a_table_that_fills_the_disk_is_one_error(self, small_disk):
        write_text(small_disk / "table.md", "before")
        with pytest.raises(InputError, match=rf"table\.md: {FULL}"):
            write_text(small_disk / "table.md", "x" * 400_000)
        assert (small_disk / "table.md").read_text() == "before"
        assert os.listdir(small_disk) == ["table.md"]

    def test_training_resumes_once_a_full_disk_has_space_again(self, small_disk, colored):
        undisturbed = run(colored, recipe())
        (small_disk / "ballast").write_bytes(bytes(230_000))
        trainer = trainer_for(colored, recipe())
        with pytest.raises(InputError, match=FULL):
            train(trainer, colored, Checkpoints(small_disk / "x", 0), callbacks=[fill(small_disk)])
        assert trainer.step == 10
        (small_disk / "ballast").unlink()
        trainer = trainer_for(colored, recipe())
        begun = []
        history = train(
            trainer,
            colored,
            Checkpoints(small_disk / "x", 0),
            callbacks=[Hooks(start=lambda steps, rows: begun.append((steps, len(rows))))],
        ).epochs
        assert begun == [(9, 1)]
        assert history == undisturbed[1]
        assert all(torch.equal(tensor, undisturbed[0][key]) for key, tensor in trainer.network.state_dict().items())

    @pytest.mark.slow
    def test_prepare_on_a_full_disk_is_one_error(self, small_disk, tmp_path):
        """The stage itself, in a project whose data lies on that disk."""
        for name in ("params.yaml", "pipeline", "src"):
            (tmp_path / name).symlink_to(ROOT / name)
        (tmp_path / "data").symlink_to(small_disk)
        (small_disk / "ballast").write_bytes(bytes(250_000))
        subprocess.run([sys.executable, "-m", "pipeline.scan"], cwd=tmp_path, check=True)
        done = subprocess.run([sys.executable, "-m", "pipeline.prepare"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == (
            "error: data/train.safetensors: can't be written (No space left on device); "
            "free some disk space and run it again\n"
        )
        assert sorted(os.listdir(small_disk)) == ["ballast", "source.json"]


def add_epochs(curves, rows):
    for row in rows:
        curves.epoch(row)


def fill(disk):
    """Return a callback that fills the disk at the tenth step."""
    steps = []

    def step():
        steps.append(None)
        if len(steps) == 10:
            file = os.open(disk / "ballast", os.O_WRONLY | os.O_APPEND)
            with contextlib.suppress(OSError):
                while os.write(file, bytes(4096)):
                    pass
            os.close(file)

    return Hooks(step=step)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some disk space"),
        (errno.EDQUOT, "free some disk space"),
        (errno.EROFS, "make its folder writable"),
        (errno.EACCES, "make its folder writable"),
        (errno.EISDIR, "move or remove what is at this path"),
        (errno.EIO, "make the path writable"),
    ],
)
def test_a_file_that_can_t_be_written_says_why_and_what_to_do(tmp_path, number, remedy):
    error = make_write_error(tmp_path / "x", OSError(number, "words that don't count"))
    assert str(error) == f"{tmp_path / 'x'}: can't be written ({os.strerror(number)}); {remedy} and run it again"


def test_a_read_only_disk_is_one_error(small_disk):
    write_text(small_disk / "x", "before")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(
        InputError, match=r"x: can't be written \(Read-only file system\); make its folder writable and"
    ):
        write_text(small_disk / "x", "after")
    with pytest.raises(InputError, match="Read-only file system"):
        Checkpoints(small_disk / "III", 0).save(EXAMPLE)
    assert (small_disk / "x").read_text() == "before"


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (load_statistics, "statistics.json"),
        (load_records, "III.json"),
        (load_ladder_results, "models.json"),
        (load_images, "train.safetensors"),
    ],
)
@pytest.mark.parametrize("content", [None, "", "{", "[{}]", '{"images": 3}', "null"])
def test_a_missing_output_of_an_earlier_stage_is_one_error(tmp_path, read, name, content):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name}:? invalid (file|image set).*; .*dvc repro"):
        read(tmp_path / name)


@pytest.mark.slow
def test_a_stage_outside_a_project_is_one_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train", "III"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "error: params.yaml: can't be read (No such file or directory); run from the folder that holds it\n"
    )


class TestMemory:
    def test_training_that_runs_out_of_device_memory_is_one_error(self, colored, monkeypatch):
        trainer = trainer_for(colored, recipe())

        def step(rows):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has ...")

        monkeypatch.setattr(trainer, "_run_step", step)
        error = (
            r"I: training on 8 images at once ran out of memory on cpu \(CUDA out of memory. Tried to allocate "
            r"20.00 MiB.\); lower batch_size, for example by half, or width, or close other programs that use its memory"
        )
        with pytest.raises(InputError, match=error):
            train(trainer, colored)

    def test_errors_other_than_memory_stay_what_they_are(self, colored, monkeypatch):
        trainer = trainer_for(colored, recipe())
        monkeypatch.setattr(trainer, "_run_step", lambda rows: torch.zeros(2) + torch.zeros(3))
        with pytest.raises(RuntimeError, match="must match"):
            train(trainer, colored)

    @pytest.mark.slow
    def test_evaluation_that_runs_out_of_memory_is_one_error(self):
        code = (
            "import resource, numpy as np, torch; from deepen.evaluation.accuracy import evaluate\n"
            "from deepen.core.errors import InputError; from deepen.data.images import ImageSet\n"
            "resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))\n"
            "many = np.broadcast_to(np.uint8(0), (1_000_000, 3, 32, 32))\n"
            "images = ImageSet(many, np.zeros(1_000_000, np.int64), ())\n"
            "try:\n"
            "    evaluate(torch.nn.Flatten(), images, torch.zeros(3), flip_averaging=False, batch_size=1_000_000)\n"
            "except InputError as error:\n"
            "    print(error)\n"
        )
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        assert output.startswith("evaluating 1,000,000 images at once ran out of memory on cpu (")
        assert "lower batch_size" in output
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] != 2**31


def test_two_dvc_repro_at_once_lose_nothing(project):
    project.edit("params.yaml", ("epochs: 1\n", "epochs: 40\n"))
    first = project.start("dvc repro train@I")
    project.trainer()
    assert "is busy, it is being blocked by:" in project("dvc repro", ok=False)
    assert first.wait() == 0
    assert "up to date" in project("dvc status train@I")


def test_two_queue_workers_train_one_model_once(project, torture):
    """Both experiments train one model with one checkpoint; the second takes what the first has."""
    if not torture:
        pytest.skip("the long form does that")
    project.edit("params.yaml", ("epochs: 1\n", "epochs: 40\n"))
    project("git commit -qam longer")
    project("dvc exp run --queue -n one -S depth=I train@I")
    project("dvc exp run --queue -n two -S depth=II train@I")
    workers = project.start("dvc queue start -j 2")
    wait_for(lambda: {"one", "two"} <= set(project("dvc exp list --name-only").split()), 180)
    logs = project("dvc queue logs one") + project("dvc queue logs two")
    assert "is already training this; waiting for its result" in logs
    assert re.search(r"resuming after (\d+) of \1 steps", logs)
    workers.wait()
    assert not list((project.path / "checkpoints").iterdir())


def test_a_home_that_can_t_be_written_is_one_error(built, tmp_path):
    project = built.copy(tmp_path)
    shutil.rmtree(project.path / ".dvc/cache")
    for folder in ("weights", "curves", "records", "reports", "predictions", "data"):
        shutil.rmtree(project.path / folder)
    project.env["HOME"] = "/dev/null"
    assert "train@I" in project.ran("dvc repro train@I")
    assert project.files()["weights/I.safetensors"] == built.files()["weights/I.safetensors"]
