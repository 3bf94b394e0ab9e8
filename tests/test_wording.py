"""What a library says about an invalid file or value is told in the words of the file's format."""

import json
import re
import shutil
import socket
from urllib.error import HTTPError, URLError

import pytest
from dvc_project import ROOT
from safetensors import SafetensorError
from safetensors.numpy import load_file

from deepen.cli import main
from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.errors import InputError
from deepen.core.files import read_json
from deepen.core.wording import describe_cause
from deepen.records.history import History, load_history
from deepen.records.record import load_records
from deepen.records.transfer_report import load_transfer
from deepen.training.position import describe_checkpoint

LIBRARY = re.compile(
    r"Input should|Field required|Value error|Invalid JSON|codec|object has no|not subscriptable|deserializing"
    r"|pydantic|type=|Errno|Traceback|'<EOF>'|Expecting"
)


def refused(read, path):
    with pytest.raises(InputError) as error:
        read(path)
    (fault,) = error.value.faults
    assert fault.startswith(f"{path}: ")
    assert not LIBRARY.search(fault), fault
    return fault.removeprefix(f"{path}: ")


READERS = [
    load_records,
    load_history,
    load_transfer,
    lambda path: read_checked_json(path, dict[str, int]),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "invalid file (it is empty)"),
        (b"\n", "invalid file (it is empty)"),
        (b"[]", "invalid file (must be a JSON object, got [])"),
        (b"3", "invalid file (must be a JSON object, got 3)"),
        (b"null", "invalid file (must be a JSON object, got nothing)"),
        (b"{}", "invalid file (its checksum is missing)"),
        (b'{\n"a": 1,\n', "invalid file (invalid JSON in line 3)"),
        (b"\xff{}", "invalid file (not UTF-8 text, byte 0xff at position 0)"),
        (b"[" * 100_000, "invalid file (nested too deeply)"),
        (b'{"sha256": []}', "checksum mismatch: the file was damaged or changed after it was written"),
        (b'{"sha256": "x"}', "checksum mismatch: the file was damaged or changed after it was written"),
    ],
)
def test_a_file_of_a_stage_that_is_not_what_it_should_be(tmp_path, read, content, fault):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert (
        refused(read, path) == f"{fault}; name another file, or write it again (dvc repro writes the outputs of stages)"
    )


def test_values_are_named_with_the_rule_that_they_break(tmp_path):
    path = tmp_path / "x.json"
    write_checked_json(path, {"records": [{"model": 3}]})
    assert refused(load_records, path).startswith(
        "invalid file (records[0].model: must be a string, got 3; records[0].after: is missing; "
        "records[0].layers: is missing; and "
    )
    write_checked_json(path, {"settings": [], "extra": 1})
    assert "settings: must be an object, got []" in refused(lambda path: read_checked_json(path, History), path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "it is empty"),
        ("[]", "must be an object, got []"),
        ("{", "invalid JSON"),
        ('{"top1": "x"}', "top1: must be a number, got the string 'x'"),
        ('{"top1": null}', "top1: must be a number, got nothing"),
    ],
)
def test_metrics(tmp_path, content, fault):
    path = tmp_path / "x.json"
    path.write_text(content)
    assert refused(lambda path: read_json(path, dict[str, float]), path) == f"invalid file ({fault}); run dvc repro"


def test_commands_that_read_metrics(tmp_path, monkeypatch):
    (tmp_path / "metrics").mkdir()
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    for content in ("", "[]", "{"):
        for name in ("I", "II"):
            (tmp_path / f"metrics/{name}.json").write_text(content)
        with pytest.raises(SystemExit) as exit:
            main(["compare", "I", "II"])
        assert not LIBRARY.search(str(exit.value))
        assert re.match(r"error: metrics/I\.json: invalid file \(", str(exit.value))


def test_checkpoints(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"")
    assert refused(describe_checkpoint, path) == "is damaged (it is empty or cut off)"
    path.write_bytes(b"x" * 100)
    assert refused(describe_checkpoint, path) == "is damaged (its header is damaged)"


def test_safetensors_of_which_a_part_is_missing(tmp_path):
    text = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + b"1")
    with pytest.raises(SafetensorError) as error:
        load_file(tmp_path / "x")
    assert describe_cause(error.value) == "its size is not the one in its header"
    missing = SafetensorError("File does not contain tensor labels")
    assert describe_cause(missing) == "tensor labels is missing"


def test_errors_of_the_network():
    unknown = socket.gaierror(-2, "Name or service not known")
    assert describe_cause(URLError(unknown)) == "Name or service not known"
    assert describe_cause(URLError("unknown url type")) == "<urlopen error unknown url type>"
    assert describe_cause(HTTPError("x", 404, "Not Found", None, None)) == "HTTP Error 404: Not Found"


def test_the_text_of_an_unknown_error_is_kept_in_one_line():
    assert describe_cause(RuntimeError("a\n b")) == "a b"
    assert describe_cause(RuntimeError()) == "RuntimeError"
    assert describe_cause(KeyError("sha256")) == "sha256 is missing"
    assert describe_cause(TypeError("'NoneType' object is not subscriptable")) == "it has another structure"
