"""The fork server of the tests: a command that it runs is as the real one."""

import io
import subprocess

import fork_server
import psutil
import pytest
from dvc.utils.serialize import _yaml
from dvc_project import ROOT, Project
from fork_client import is_served
from remembered import as_plain, is_lock, remember, write_lock
from test_kills import wait_for

pytestmark = pytest.mark.skipif(not fork_server.AVAILABLE, reason="the fork server needs Linux")

STAGE = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ.get("GREETING"), sys.stdin.read(), __name__, __spec__.name)
print("told", file=sys.stderr)
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else "a message")
"""


@pytest.fixture
def both(tmp_path):
    """A folder with a stage, run by the server and by a Python of its own."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/some.py").write_text(STAGE)
    return Project(tmp_path, tmp_path), Project(tmp_path, tmp_path, real=True)


@pytest.mark.parametrize("words", [["0"], ["3", "a b", "ü"], ["255"], []])
def test_streams_words_folder_environment_and_exit_code_are_those_of_the_real_command(both, words):
    ends = []
    for project in both:
        project.env["GREETING"] = "hello"
        done = project.run("python -m pipeline.some", *words, input="given")
        ends.append((done.stdout, done.stderr, done.returncode))
    assert ends[0] == ends[1]
    assert "hello given __main__ pipeline.some" in ends[0][0]


def test_an_exception_is_a_traceback_and_an_exit_code(both):
    (both[0].path / "pipeline/some.py").write_text("import atexit; atexit.register(print, 'at the exit'); 1 / 0")
    for project in both:
        done = project.run("python -m pipeline.some")
        assert done.returncode == 1
        assert done.stdout == "at the exit\n"
        assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_packages_are_imported_before_and_this_project_is_not(both):
    code = "import sys; print({'torch', 'dvc'} & sys.modules.keys() == {'torch', 'dvc'}, 'deepen' in sys.modules)"
    (both[0].path / "pipeline/some.py").write_text(code)
    assert [project("python -m pipeline.some") for project in both] == ["True False\n", "False False\n"]


def test_dvc_and_deepen_are_served_too(both):
    served, real = both
    assert served("dvc --version") == real("dvc --version")
    assert served("deepen --help") == real("deepen --help")


def test_a_module_on_the_python_path_is_found_and_sitecustomize_is_run(both, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/sitecustomize.py").write_text("print('customized')")
    (tmp_path / "more/also.py").write_text("print('imported')")
    (tmp_path / "pipeline/some.py").write_text("import also")
    for project in both:
        project.env["PYTHONPATH"] = str(tmp_path / "more")
        assert project("python -m pipeline.some") == "customized\nimported\n"


@pytest.mark.parametrize(
    ("name", "words", "served"),
    [
        ("python", ["-m", "pipeline.train", "I"], True),
        ("python", ["-m", "study.arm"], True),
        ("dvc", ["repro"], True),
        ("python", ["-c", "1"], False),
        ("python", ["-m", "pip"], False),
        ("python", ["-m"], False),
        ("python", [], False),
    ],
)
def test_only_stages_dvc_and_deepen_are_served(name, words, served):
    assert is_served(name, words) == served


def test_variables_that_python_reads_as_it_starts_take_a_new_process(both):
    (both[0].path / "pipeline/some.py").write_text("import sys; print(sys.stdout.encoding, 'torch' in sys.modules)")
    served, _ = both
    served.env["PYTHONIOENCODING"] = "latin-1"
    assert served("python -m pipeline.some") == "iso8859-1 False\n"
    assert served("python -c", "print(2)") == "2\n"


def test_a_command_ends_with_the_one_who_asked_for_it(both):
    served, _ = both
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    (served.path / "pipeline/some.py").write_text(code)
    words = ["python", "-m", "pipeline.some"]
    with subprocess.Popen(words, cwd=served.path, env=served.env, stdout=subprocess.PIPE, text=True) as client:
        command = int(client.stdout.readline())
        assert command != client.pid
        client.kill()
    wait_for(lambda: not psutil.pid_exists(command))


def test_a_served_command_imports_no_package_again(both):
    """A command takes no import: of PyTorch alone it takes over a second of computing."""
    (both[0].path / "pipeline/some.py").write_text("import time, torch, dvc.repo; print(time.process_time())")
    assert float(both[0]("python -m pipeline.some")) < 0.5


def test_started_commands_are_the_real_ones(both):
    (both[0].path / "pipeline/some.py").write_text("import sys; print('torch' in sys.modules)")
    assert both[0].start("python -m pipeline.some").wait() == 0
    assert both[0].output == "False\n"


YAML = """
import io
from dvc.utils.serialize import _yaml
for text in ("a: {b: 1e-05, c: 010}  # why", "a: [1", "a: {b: 1e-05, c: 010}  # why", ""):
    for typ in ("safe", "rt"):
        try:
            found = _yaml.parse_yaml(text, "x", typ)
            written = _yaml.dumps_yaml(found)
            again = _yaml.parse_yaml(written, "x", typ)
            found["more"] = [1]
            print(typ, type(found), found, written, again, _yaml.parse_yaml(text, "x", typ))
        except _yaml.YAMLError as error:
            print(error)
"""


def test_dvc_reads_and_writes_yaml_as_it_does_by_itself(both):
    (both[0].path / "pipeline/some.py").write_text(YAML)
    said = [project("python -m pipeline.some") for project in both]
    assert said[0] == said[1] == both[0]("python -m pipeline.some")
    assert said[0].count("YAML file structure is corrupted") == 2


OUTPUTS = """
from dvc.repo import Repo
with Repo() as repo:
    paths = sorted({str(dep) for stage in repo.index.stages for dep in stage.deps} | {"data", "data/test/images.npy", "no"})
    print([(path, repo.dvcfs.isdvc(repo.dvcfs.from_os_path(path))) for path in paths])
"""


def test_dvc_knows_the_outputs_of_a_pipeline_as_it_does_by_itself(project):
    (project.path / "pipeline/some.py").write_text(OUTPUTS)
    said = [
        each("python -m pipeline.some") for each in (project, Project(project.path, project.path.parent, real=True))
    ]
    assert said[0] == said[1]
    assert "('weights/I.safetensors', True)" in said[0]
    assert "('pipeline/train.py', False)" in said[0]


def test_a_result_is_computed_once_and_each_caller_has_its_own_copy(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return [0]

    first = remember(tmp_path / "x", compute)
    first.append(1)
    assert remember(tmp_path / "x", compute) == [0]
    assert calls == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("name", ["dvc.lock", "dvc.yaml", "params.yaml"])
def test_what_is_kept_of_a_written_yaml_file_is_what_the_safe_parser_reads(name):
    text = (ROOT / name).read_text()
    assert repr(as_plain(_yaml.parse_yaml(text, name, typ="rt"))) == repr(_yaml.parse_yaml(text, name))


def test_a_dvc_lock_is_written_as_dvc_does_and_each_stage_once(tmp_path):
    text = (ROOT / "dvc.lock").read_text()
    lock, written = _yaml.parse_yaml(text, "dvc.lock"), []

    def write(data):
        written.append(data)
        stream = io.StringIO()
        _yaml._dump(data, stream)
        return stream.getvalue()

    assert is_lock(lock)
    assert write_lock(tmp_path, lock, write) == text
    lock["stages"]["report"]["deps"].pop()
    written.clear()
    assert write_lock(tmp_path, lock, write) == write(lock)
    assert [list(data) for data in written[:-1]] == [["schema"], ["stages"]]
    assert list(written[1]["stages"]) == ["report"]


@pytest.mark.parametrize("other", [{}, {"schema": "2.0", "stages": {}}, {"stages": {"a": {}}}, ["schema", "stages"]])
def test_another_file_is_written_as_a_whole(other):
    assert not is_lock(other)
