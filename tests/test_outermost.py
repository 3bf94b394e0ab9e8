"""Each way in which a command can end is one line and an exit code."""

import csv
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from dvc_project import ROOT
from interrupted import interrupt_imports
from test_weights import CARD, STATE

from deepen.cli import main
from deepen.core.ctrl_c import ExitAtCtrlC, exit_at_once
from deepen.core.entry_point import ProgramExit, run_program
from deepen.core.errors import MOST_FAULTS, InputError, Interrupted, escape_unprintable, format_faults, is_out_of_memory
from deepen.models.weights import save_weights

COMMAND = [sys.executable, "-c", "from deepen.cli import main; main()"]
COMMANDS = [
    "predict",
    "evaluate",
    "export",
    "import",
    "models",
    "compare",
    "new",
    "ladder",
    "queue",
    "search",
    "watch",
    "checkpoints",
]
LATIN = {**os.environ, "PYTHONIOENCODING": "latin-1"}
ASCII = {**os.environ, "PYTHONIOENCODING": "ascii"}


def raises(error):
    def function():
        raise error

    return function


def ended(error, capsys, **options):
    """What is printed to standard error, and the exit code."""
    with pytest.raises(ProgramExit) as found:
        run_program(raises(error), **options)
    told = capsys.readouterr().err
    assert told.endswith(f"{found.value}\n")
    return told, found.value.code


def test_a_program_that_succeeds_prints_no_error(capsys):
    assert run_program(lambda: print("done")) is None
    assert capsys.readouterr() == ("done\n", "")


def test_a_fault_is_one_printable_line(capsys):
    told, code = ended(InputError(["one", "a\nb\x1b[31m\u202e\ud800\u2028c", "größe \U0001f408"]), capsys)
    assert code == 1
    assert told.splitlines() == ["error: one", r"error: a\nb\x1b[31m\u202e\ud800\u2028c", "error: größe \U0001f408"]


def test_at_most_twenty_faults_are_listed_and_how_many_more():
    most = [str(i) for i in range(MOST_FAULTS)]
    assert format_faults(InputError(most)) == [f"error: {i}" for i in most]
    assert format_faults(InputError([*most, "x", "y"])) == [
        *(f"error: {i}" for i in most),
        "error: ... and 2 more",
    ]


@pytest.mark.parametrize("text", ["a", "größe", "\U0001f408"])
def test_printable_text_is_not_escaped(text):
    assert escape_unprintable(text) == text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "error: out of memory (MemoryError); close other programs and run it again\n"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "error: out of memory ([enforce fail] DefaultCPUAllocator: can't allocate memory: you tried); close other programs and run it again\n"),
        (OSError(28, "No space left on device", "/x\ny"), "error: /x\\ny: No space left on device; free some disk space and run it again\n"),
        (OSError(28, "No space left on device"), "error: a file: No space left on device; free some disk space and run it again\n"),
        (PermissionError(13, "Permission denied", "x"), "error: x: Permission denied; change its permissions and run it again\n"),
    ],
)  # fmt: skip
def test_a_lack_of_memory_disk_or_permission_is_one_line(capsys, error, told):
    assert ended(error, capsys) == (told, 1)
    assert ended(error, capsys, again="run dvc repro again")[0] == told.replace("run it again", "run dvc repro again")


def test_a_real_lack_of_memory_is_one_line(capsys):
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 45, before[1]))
    try:
        with pytest.raises(ProgramExit, match="out of memory"):
            run_program(lambda: bytearray(1 << 46))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_other_errors_are_not_a_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("shapes"))
    assert not is_out_of_memory(ValueError("out of memory"))


class TestTheUnexpected:
    def test_an_unexpected_error_is_one_line_that_names_a_file_with_the_traceback(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        told, code = ended(KeyError("a\nb"), capsys)
        assert code == 1
        opening = re.escape("error: unexpected error: KeyError: 'a\\nb'; please report this bug with the file ")
        file = re.fullmatch(rf"{opening}({tmp_path}/deepen-error-\w+\.txt)\n", told)[1]
        content = Path(file).read_text()
        assert "Traceback (most recent call last):" in content
        assert "in raises" not in content
        assert f"Python {sys.version}" in content
        assert content.endswith("KeyError: 'a\\nb'\n")

    def test_an_unexpected_error_has_its_traceback_on_standard_error_on_demand(self, capsys, monkeypatch):
        told, _ = ended(KeyError("a"), capsys, debug=True)
        assert told.startswith("Traceback (most recent call last):")
        assert told.endswith(
            "error: unexpected error: KeyError: 'a'; please report this bug with the traceback above\n"
        )
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        told, _ = ended(KeyError("a"), capsys)
        assert "Traceback (most recent call last):" in told
        assert told.endswith("please report this bug with the traceback above\n")

    def test_the_traceback_of_an_input_error_is_only_on_demand(self, capsys):
        assert "Traceback" not in ended(InputError("x"), capsys)[0]
        assert ended(InputError("x"), capsys, debug=True)[0].endswith("InputError: x\nerror: x\n")

    @pytest.mark.parametrize("words", [["--debug", "models"], ["models", "--debug"]])
    def test_the_option_stands_before_the_command_or_after(self, tmp_path, words):
        done = run(*words, "--project", str(tmp_path))
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback (most recent call last):")
        assert done.stderr.splitlines()[-1].startswith(f"error: --project {tmp_path}: not a Deepen project")


def test_an_interrupted_stage_prints_its_own_message(capsys):
    assert ended(Interrupted("III: stopped", 143), capsys) == ("III: stopped\n", 143)
    assert ended(KeyboardInterrupt(), capsys) == ("interrupted\n", 130)


def test_an_error_that_a_library_makes_of_ctrl_c_is_ctrl_c(capsys):
    def imports():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            raise ImportError("half of it") from None

    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(ProgramExit) as error:
            run_program(imports)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (capsys.readouterr().err, error.value.code) == ("interrupted\n", 130)


def run(*words, **options):
    return subprocess.run(
        [*COMMAND, *words], **{"capture_output": True, "text": True, "check": False, "cwd": ROOT, **options}
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_can_t_be_written_is_one_line_in_every_command(command, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = run(command, "--help", capture_output=False, stdout=full, stderr=subprocess.PIPE, env=environment)
    fault = "can't be written (No space left on device); write to another path and run it again"
    assert (done.stderr, done.returncode) == (f"error: standard output: {fault}\n", 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_is_closed_is_one_line(command):
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "-", *COMMAND, command, "--help"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    fault = "is closed; redirect it, for example > result.txt, and run it again"
    assert (done.stderr, done.returncode) == (f"error: standard output: {fault}\n", 1)


@pytest.mark.parametrize("closed", [">&- 2>&-", "2>&-", "<&-", "> /dev/full 2> /dev/full"])
def test_a_closed_standard_error_leaves_the_exit_code(tmp_path, closed):
    words = ["bash", "-c", f'exec "$@" {closed}', "-", *COMMAND, "models", "--project", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""


def test_a_reader_that_has_enough_is_no_error():
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; echo ${PIPESTATUS[0]}', "-", *COMMAND, "models", "--image", "3x32x32"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_stage_whose_reader_went_away_has_failed():
    code = "from deepen.core.entry_point import run_program; run_program(lambda: print('x' * 200_000), again='run it again', must_finish=True)"
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; echo ${PIPESTATUS[0]}', "-", sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1\n", "error: standard output was closed; run it again\n")


@pytest.mark.parametrize("words", [["models", "--image", "3x32x32"], ["predict", "x.safetensors", "y.png"]])
@pytest.mark.slow
def test_ctrl_c_is_one_line_also_while_it_imports(tmp_path, words):
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    ended = interrupt_imports(tmp_path, [*COMMAND[1:], *words], [signal.SIGINT], "deepen.core.entry_point")
    assert ended == {signal.SIGINT: {(130, "interrupted\n")}}


@pytest.mark.parametrize(
    ("before", "within"),
    [(signal.default_int_handler, exit_at_once), (signal.SIG_IGN, signal.SIG_IGN)],
)
def test_ctrl_c_ends_the_imports_unless_it_has_a_handler_and_is_as_before_after_them(before, within):
    usual = signal.signal(signal.SIGINT, before)
    try:
        with ExitAtCtrlC():
            assert signal.getsignal(signal.SIGINT) is within
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, usual)


def test_a_command_runs_in_a_thread_too(capsys):
    thread = threading.Thread(target=main, args=(["models", "--image", "3x32x32", "--project", str(ROOT)],))
    thread.start()
    thread.join()
    assert "III" in capsys.readouterr().out


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
@pytest.mark.parametrize("environment", [LATIN, ASCII])
def test_names_that_the_terminal_lacks_are_escaped(tmp_path, form, environment):
    card = CARD.model_copy(update={"classes": ("größer", "犬 \U0001f408")})
    save_weights(tmp_path / "x.safetensors", STATE, card)
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "größe 犬.png")
    done = run("predict", "x.safetensors", "größe 犬.png", *form, cwd=tmp_path, env=environment, text=False)
    assert (done.stderr, done.returncode) == (b"", 0)
    name = "犬".encode() if form == ["--csv"] else rb"\u72ac"  # CSV is UTF-8 wherever it goes
    assert name in done.stdout
    if form == ["--csv"]:
        assert {row["class"] for row in csv.DictReader(io.StringIO(done.stdout.decode()))} == set(card.classes)
    if form == ["--json"]:
        assert {row["class"] for row in json.loads(done.stdout)[0]["classes"]} == set(card.classes)
