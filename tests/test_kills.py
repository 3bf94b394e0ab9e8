"""A ladder that is killed again and again, by hand, in an experiment or on the queue, ends as if it never had been."""

import os
import random
import re
import signal
import time

import pytest
import yaml_text
from dvc_project import ALWAYS

from pipeline.ready import remove_empty_dvc_lock, remove_invalid_rwlock

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(scope="session")
def slow(built, tmp_path_factory):
    """A project whose three models train for some seconds each and keep a checkpoint every step."""
    return lengthen(built.copy(tmp_path_factory.mktemp("slow")))


def lengthen(project):
    project.edit("params.yaml", ("epochs: 1\n", "epochs: 8\n"), ("_seconds: 60 ", "_seconds: 0 "))
    project.edit("params.yaml", ("progress: normal ", "progress: verbose "))  # a line an epoch, to wait for
    project("git commit -qam slow")
    return project


@pytest.fixture
def project(slow, tmp_path):
    return slow.copy(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(built, build_once):
    """The same after an undisturbed run."""
    return build_once("undisturbed", lambda home: lengthen(built.copy(home))("dvc repro"))[0]


def kill(process, number):
    """Send a signal to a command and all that it started; its output."""
    os.killpg(process.pid, number)
    process.wait()


def wait_for(found, seconds=60):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.01)


def trained_some(project):
    wait_for(lambda: len(list((project.path / "checkpoints").glob("*/*.safetensors"))) > 1)


def test_a_run_that_is_killed_many_times_ends_in_the_same_bytes(
    project, undisturbed, torture, tmp_path, record_property
):
    chance, wanted = random.Random(0), 50 if torture else len(SIGNALS)
    if torture:
        for each in (project, undisturbed := undisturbed.copy(tmp_path / "longer")):
            each.edit("params.yaml", ("epochs: 8\n", "epochs: 250\n"))
        undisturbed("dvc repro")
    kills = dict.fromkeys((number.name for number in SIGNALS), 0)
    resumed = writing = 0
    while sum(kills.values()) < wanted:
        process = project.start("dvc repro")
        project.trainer()
        if chance.random() < 0.6:  # else perhaps before the first step
            wait_for(lambda: ", epoch " in project.output or process.poll() is not None)  # noqa: B023
        time.sleep(chance.uniform(0, 1.5))
        number = SIGNALS[sum(kills.values()) % len(SIGNALS)]
        if process.poll() is not None:
            break
        kill(process, number)
        kills[number.name] += 1
        writing += any((project.path / "checkpoints").glob("*/.*.writing"))
        resumed += "resuming after" in project.output
        wait_for(lambda: not project.trainers())
    last = project("dvc repro")
    resumed += "resuming after" in last
    summary = (
        f"{sum(kills.values())} kills {kills}, {writing} of them in a write, {resumed} runs went on from a checkpoint"
    )
    assert sum(kills.values()) >= wanted
    assert resumed > wanted / 4
    found, expected = project.files(), undisturbed.files()
    assert found == expected
    record_property(
        "killed at random moments",
        f"{summary}; {len(found)} files, {sum(map(len, found.values())):,} bytes, all as undisturbed",
    )
    assert project.read("dvc.lock") == undisturbed.read("dvc.lock")
    assert not list((project.path / "checkpoints").iterdir())


def test_a_run_that_is_killed_in_each_stage_ends_in_the_same_bytes(built, tmp_path, torture, record_property):
    chance, project = random.Random(1), built.copy(tmp_path)
    stages = [*ALWAYS, *built.first] if torture else ["prepare", "evaluate@I"]
    hits, cleared, emptied = dict.fromkeys(stages, 0), 0, 0
    for stage in stages:
        for _ in range(5 if torture else 1):
            process = project.start("dvc repro --force --single-item", stage)
            wait_for(lambda: f"Running stage '{stage}'" in project.output or process.poll() is not None)  # noqa: B023
            time.sleep(chance.uniform(0, 0.6))
            if process.poll() is None:
                kill(process, SIGNALS[sum(hits.values()) % len(SIGNALS)])
                hits[stage] += 1
                wait_for(lambda: not project.trainers())
            lock, record = project.path / ".dvc/tmp/rwlock", project.path / "dvc.lock"
            before = lock.exists(), record.exists()
            remove_invalid_rwlock(lock.parent)
            remove_empty_dvc_lock(project.path)
            cleared, emptied = cleared + before[0] - lock.exists(), emptied + before[1] - record.exists()
        project("dvc repro")
    assert sum(hits.values()) >= (60 if torture else 1)
    found = project.files()
    assert found == built.files()
    assert project.read("dvc.lock") == built.read("dvc.lock")
    record_property(
        "killed in each stage",
        f"{sum(hits.values())} kills {hits}; {len(found)} files, {sum(map(len, found.values())):,} bytes, all as undisturbed; "
        f"DVC's list of locks was left invalid {cleared} times, its dvc.lock empty {emptied} times",
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_gets_a_signal_ends_soon_and_says_how_to_go_on(project, number, torture):
    if number == signal.SIGINT and not torture:
        pytest.skip("the long form does that too")
    process = project.start("dvc repro")
    trainer = project.trainer()
    trained_some(project)
    os.kill(trainer, number)
    assert process.wait() != 0
    line = re.search(
        r"^I: stopped after (\d+) of (\d+) steps; dvc repro resumes from its last checkpoint$", project.output, re.M
    )
    assert int(line[1]) < int(line[2])
    assert f"exited with {128 + number}" in project.output
    assert f"I: resuming after {line[1]} of" in project("dvc repro train@I")


def test_only_the_same_settings_go_on_from_a_checkpoint(project):
    process = project.start("dvc repro")
    project.trainer()
    trained_some(project)
    kill(process, signal.SIGKILL)
    project.edit("params.yaml", ("lr: auto ", "lr: 0.01 "))
    assert "going on" not in project("dvc repro train@I")
    project.edit("params.yaml", ("lr: 0.01 ", "lr: auto "))
    assert "resuming after" in project("dvc repro train@I")


def orphan(project):
    """A trainer whose dvc was killed; it stands still until it is told to go on."""
    process = project.start("dvc repro")
    trainer = project.trainer()
    trained_some(project)
    os.kill(trainer, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return trainer


def output_beside(project, trainer, waiting):
    """What a second `dvc repro train@I` says, which waits for the first trainer with these words."""
    second = project.start("dvc repro train@I", real=False)  # it gets no signal
    wait_for(lambda: f"I: process {trainer} on " in project.output and waiting in project.output)
    os.kill(trainer, signal.SIGCONT)
    assert second.wait() == 0
    return project.output


def test_a_second_trainer_waits_for_the_first_and_takes_its_result(project, undisturbed):
    output = output_beside(project, orphan(project), "is already training this; waiting for its result")
    assert re.search(r"resuming after (\d+) of \1 steps", output)
    assert project.files()["weights/I.safetensors"] == undisturbed.files()["weights/I.safetensors"]


def test_a_second_trainer_with_other_settings_waits_for_the_first_to_end(project):
    trainer = orphan(project)
    project.edit("params.yaml", ("lr: auto ", "lr: 0.01 "))
    output_beside(project, trainer, "is training it here with other settings; waiting until it ends")
    assert "up to date" in project("dvc status train@I")


def outputs(project, revision):
    """What training I wrote, by a revision's lock file."""
    return yaml_text.load(project(f"git show {revision}:dvc.lock"))["stages"]["train@I"]["outs"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_experiment_in_a_copy_goes_on(project, undisturbed, number, torture):
    if number == signal.SIGINT and not torture:
        pytest.skip("the long form does that too")
    process = project.start("dvc exp run --temp -n first train@I")
    project.trainer()
    trained_some(project)
    kill(process, number)
    assert "I: resuming after" in project("dvc exp run --temp -n second train@I")
    undisturbed("git commit -qam done --allow-empty")
    assert outputs(project, project.experiment("second")) == outputs(undisturbed, "HEAD")


@pytest.mark.long
def test_a_queued_experiment_whose_worker_was_killed_goes_on(project, undisturbed):
    project("dvc exp run --queue -n first train@I")
    worker = project.start("dvc queue start")
    trainer = project.trainer()
    trained_some(project)
    os.killpg(os.getpgid(trainer), signal.SIGKILL)
    project("dvc queue stop --kill", ok=None)
    worker.wait()
    project("dvc exp run --queue -n second train@I")
    project("dvc queue start")
    assert "I: resuming after" in project("dvc queue logs --follow second")
    wait_for(lambda: "second" in project("dvc exp list --name-only"))
    undisturbed("git commit -qam done --allow-empty")
    assert outputs(project, project.experiment("second")) == outputs(undisturbed, "HEAD")
