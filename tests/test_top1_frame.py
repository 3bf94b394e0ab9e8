"""Top-1 of experiments as DVC shows it: only numbers that were made with the settings of the experiment."""

import subprocess
from dataclasses import replace

import dvc.api
import pytest
from dvc.exceptions import DvcException
from seed_runs import experiment

from deepen.core.errors import InputError
from deepen.seeds.top1_frame import load_top1

LOCK = """stages:
  evaluate@I:
    cmd: python -m pipeline.evaluate I
    params:
      params.yaml:
        lr: {lr}
    outs:
    - path: metrics/I.json
      md5: ff
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of a DVC repository, whose experiments are made up: a function that sets what DVC shows."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "part").mkdir()
    self = tmp_path / "part"
    monkeypatch.setattr(dvc.api, "exp_show", lambda repo, revs: [{"rev": "aaaaaaa", **SHOWN}, {"rev": "other"}])
    return self


SHOWN = {
    "part/metrics/I.json:top1": 81.25,
    "part/metrics/II.json:top1": 90.0,  # not evaluated in this run
    "part/metrics/IX.json:top1": 5.0,  # not one of its models
    "part/metrics/final.json:top1": 81.25,
    "another/metrics/I.json:top1": 1.0,
    "metrics/I.json:top1": 2.0,
    "part/metrics/I.json:top2": 3.0,
}


def test_only_numbers_of_this_project_and_these_settings_are_taken(project):
    run = replace(experiment("a", lr=0.01), revision="aaaaaaa0000", lock=LOCK.format(lr=0.01))
    assert load_top1(project, [run]).to_dict() == {"I": {"aaaaaaa0000": 81.25}}
    stale = replace(run, lock=LOCK.format(lr=0.5))
    assert load_top1(project, [stale]).empty


def test_a_number_that_dvc_can_not_read_is_unknown(project, monkeypatch):
    monkeypatch.setitem(SHOWN, "part/metrics/I.json:top1", "!")
    run = replace(experiment("a", lr=0.01), revision="aaaaaaa0000", lock=LOCK.format(lr=0.01))
    assert load_top1(project, [run]).empty


def test_a_failure_of_dvc_is_one_error(project, monkeypatch):
    def fail(**_):
        raise DvcException("it is broken")

    monkeypatch.setattr(dvc.api, "exp_show", fail)
    with pytest.raises(InputError, match=r"dvc exp show failed \(it is broken\); run it to see why"):
        load_top1(project, [experiment("a")])
