"""What a stage depends on may not change while it runs, since DVC would record the change as what it was made from."""

import json
import re
import subprocess
import sys

import pytest
from dvc.repo import Repo
from dvc_project import ALWAYS, ROOT

# Runs in the stage's process: makes the edits once, when images are read or a file is renamed into its place.
EDITS = """
import os, pathlib, sys
moment, *edits = os.environ["EDITS"].split("|")
def hook(event, arguments):
    reads = event == "mmap.__new__" or (event == "import" and arguments[0] == "deepen.datasets.digits")
    now = (reads if moment == "reading" else event == "os.rename") and os.environ["STAGE"] in sys.orig_argv
    if now and edits and "pipeline" in sys.modules:
        todo = [edit.split("=>") for edit in edits]
        edits.clear()
        for name, old, new in todo:
            path = pathlib.Path(name)
            content = path.read_bytes()
            assert old.encode() in content, (name, old)
            path.unlink()
            path.write_bytes(content.replace(old.encode(), new.encode(), 1))
sys.addaudithook(hook)
"""
STAGES = {  # words of the command, a setting that the stage reads, how that is changed, a file that it reads
    "prepare": ([], "val_fraction", "val_fraction: 0.1=>val_fraction: 0.2", None),
    "statistics": ([], None, None, "data/train.safetensors"),
    "check": ([], "", "progress: normal=>progress: quiet ", "data/train.safetensors"),
    "transfer": (["II"], "growth", "growth: identity=>growth: random", "weights/I.safetensors"),
    "train": (["II"], "lr", "lr: auto=>lr: 0.01", "weights/init/II.safetensors"),
    "evaluate": (["II"], "threads", "threads: 1=>threads: 2", "records/I.json"),
    "report": ([], "depth", "depth: III=>depth: II ", "predictions/III.json"),
}


def run_edited(project, tmp_path, stage, moment):
    """A stage in whose process all that it depends on is edited at a moment: what it says and what must be named."""
    words, setting, change, file = STAGES[stage]
    (tmp_path / "sitecustomize.py").write_text(EDITS)
    code = f"pipeline/{stage}.py"
    edits, named = [f'{code}=>"""=>"""Edited. '], [code]
    if change:
        edits.append(f"params.yaml=>{change}")
        named.append(f"params.yaml: {setting}".removesuffix(": "))
    if file:
        edits.append(f"{file}=>=>")  # the same content, written anew
        named.append(file)
    edited = {"PYTHONPATH": str(tmp_path), "EDITS": "|".join([moment, *edits]), "STAGE": f"pipeline.{stage}"}
    return project.run(f"python -m pipeline.{stage}", *words, env={**project.env, **edited}), named


@pytest.mark.parametrize("moment", ["reading", "writing"])
@pytest.mark.parametrize("stage", STAGES)
def test_each_kind_of_input_that_is_edited_during_each_stage_is_named(project, tmp_path, stage, moment):
    before = project.files()
    done, named = run_edited(project, tmp_path, stage, moment)
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.search(r"^error: changed while it ran: (.*); run it again$", done.stderr, re.M)
    assert found, done.stderr
    assert sorted(found[1].split(", ")) == sorted(named)
    if moment == "reading":
        kept = {name: content for name, content in project.files().items() if not name.startswith("live/")}
        assert kept == {name: content for name, content in before.items() if not name.startswith("live/")}


def test_an_edit_that_concerns_another_stage_does_no_harm(project, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(EDITS)
    edits = [
        "writing",
        "params.yaml=>depth: III=>depth: I",
        "src/deepen/report/page.css=>body=>body ",
        "params.yaml=>#=># x",
    ]
    project.env |= {"PYTHONPATH": str(tmp_path), "EDITS": "|".join(edits), "STAGE": "pipeline.train"}
    assert project.ran("dvc repro --force --single-item train@I") == ["train@I"]


def test_after_an_edit_during_a_stage_dvc_records_nothing_and_trains_anew(project, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(EDITS)
    lock = project.read("dvc.lock")
    project.edit("params.yaml", ("lr: auto ", "lr: 0.02 "))
    project("dvc repro check")
    project.env |= {
        "PYTHONPATH": str(tmp_path),
        "EDITS": "writing|params.yaml=>lr: 0.02=>lr: 0.01",
        "STAGE": "pipeline.train",
    }
    assert "error: changed while it ran: params.yaml: lr; run it again" in project("dvc repro train@I", ok=False)
    for name in ("EDITS", "PYTHONPATH"):
        del project.env[name]
    (tmp_path / "sitecustomize.py").unlink()
    assert project.read("dvc.lock").split("train@I:")[1] == lock.split("train@I:")[1]
    assert [*(project.path / "checkpoints").glob("I-*/*.safetensors")]
    project.edit("params.yaml", ("lr: 0.01 ", "lr: 0.02 "))
    assert re.search(r"I: resuming after (\d+) of \1 steps", project("dvc repro train@I"))
    assert "    lr: 0.02" in project.read("dvc.lock").split("train@I:")[1].split("outs:")[0]


def code_in(project, deps):
    """Dependencies with the files of a folder in its place, as git has them."""
    found = subprocess.run(["git", "ls-files", "src", "pipeline"], cwd=project, capture_output=True, text=True)
    tracked = [name for name in found.stdout.split() if not name.endswith("py.typed")]
    return {dep for dep in deps if (project / dep).is_file()} | {
        name for name in tracked if any(name.startswith(f"{dep}/") for dep in deps)
    }


def test_inputs_of_each_stage_are_what_dvc_takes_for_its_dependencies(built):
    """Each stage of dvc.yaml, its names filled in by DVC and by us."""
    told = "import json, sys; from pipeline.shared.inputs import Inputs; module, *words = sys.argv[1:]\n"
    told += "found = Inputs(module, words); print(json.dumps([list(map(str, found._list_paths())), found.stage.get('params', [])]))"
    with Repo(str(built.path)) as repo:
        stages = [stage for stage in repo.index.stages if stage.cmd]
        assert len(stages) == len([*ALWAYS, *built.first])
        for stage in stages:
            _, _, module, *words = stage.cmd.split()
            done = subprocess.run(
                [sys.executable, "-c", told, module, *words],
                cwd=built.path,
                env=built.env,
                capture_output=True,
                text=True,
            )
            paths, params = json.loads(done.stdout)
            files = {dep.def_path for dep in stage.deps if not hasattr(dep, "params")}
            settings = {name for dep in stage.deps if hasattr(dep, "params") for name in dep.params}
            assert set(paths) == code_in(built.path, files), stage
            assert {param for param in params if isinstance(param, str)} == settings, stage


def test_inputs_of_a_stage_of_the_study_are_those_of_its_dvc_yaml(tmp_path):
    told = "from pipeline.shared.inputs import Inputs; found = Inputs('study.arm', ['growing', 'III-late', '1'])\n"
    told += "print(found.stage['outs'], 'growing.arms.III-late' in found.stage['params'][1]['params.yaml'])"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "['runs/growing/III-late-1.json'] True\n", done.stderr


def test_a_recipe_that_is_edited_before_a_stage_and_changed_back_is_trained_again(project, tmp_path):
    """DVC has filled in ${recipe} by then: the lock says of which recipe the result is."""
    (tmp_path / "sitecustomize.py").write_text(EDITS)
    project.edit("params.yaml", ("seed: 0 ", "seed: 1 "))
    project.env |= {
        "PYTHONPATH": str(tmp_path),
        "EDITS": "writing|params.yaml=>recipe: onecycle =>recipe: published ",
        "STAGE": "pipeline.transfer",
    }
    project("dvc repro train@I")
    for name in ("EDITS", "PYTHONPATH", "STAGE"):
        del project.env[name]
    assert '"name": "sgd"' in project.read("curves/I.json")
    project.edit("params.yaml", ("recipe: published ", "recipe: onecycle "))
    assert "train@I" in project.ran("dvc repro train@I")
    assert '"name": "muon"' in project.read("curves/I.json")


def test_files_that_editors_leave_among_code_make_no_stage_run_again(project):
    folder = project.path / "src/deepen/training"
    (folder / ".#loop.py").symlink_to("me@host.1:2")  # Emacs, as soon as a file is changed and not yet saved
    for name in ("#loop.py#", ".loop.py.swp", "loop.py~", "loop.py.orig", "._loop.py", "4913"):
        (folder / name).write_text("x")
    assert project.is_up_to_date()
    program = "from pipeline.shared.inputs import Inputs; print(*Inputs('pipeline.train', ['I'])._list_paths())"
    assert "loop.py" in (listed := project("python -c", program))
    assert not re.search(r"#|~|sw|orig|\._|4913", listed)


def test_a_file_that_is_added_to_a_folder_of_code_is_a_change(project):
    program = (
        "from pathlib import Path; from pipeline.shared.inputs import Inputs; inputs = Inputs('pipeline.train', ['I'])\n"
        "Path('src/deepen/training/table.json').write_text('{}'); print(inputs.find_changes())"
    )
    assert project("python -c", program) == "['src/deepen/training/table.json']\n"
    assert "src/deepen/training" in project("dvc status train@I")


def test_settings_that_are_not_utf_8_are_one_error(project):
    with (project.path / "params.yaml").open("ab") as file:
        file.write(b"# \xe9\n")
    assert re.fullmatch(r"error: params\.yaml: .*UTF-8.*\n", project("python -m pipeline.scan", ok=False))
