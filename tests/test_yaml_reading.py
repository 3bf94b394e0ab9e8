"""YAML is read as DVC reads it, or refused: no setting means one thing to DVC and another to the network."""

import math
import re

import pytest
import yaml_text
from dvc.utils.serialize import parse_yaml as dvc_reads
from dvc.utils.serialize._common import ParseError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deepen.core.errors import InputError
from deepen.core.yaml_reading import MOST_CHARACTERS, MOST_VALUES, parse_yaml, read_yaml


def told(text):
    with pytest.raises(InputError) as error:
        parse_yaml(text, "params.yaml")
    assert all(fault.isprintable() for fault in error.value.faults)
    return [fault.removeprefix("params.yaml: ") for fault in error.value.faults]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("010", 'models.I.epochs: 010 is not a plain number; write epochs: 10, or epochs: "010" if it is text'),
        ("0b11", 'models.I.epochs: 0b11 is not a plain number; write epochs: 3, or epochs: "0b11" if it is text'),
        ("0o17", 'models.I.epochs: 0o17 is not a plain number; write epochs: 15, or epochs: "0o17" if it is text'),
        ("0x1F", 'models.I.epochs: 0x1F is not a plain number; write epochs: 31, or epochs: "0x1F" if it is text'),
        ("1_000", 'models.I.epochs: 1_000 is not a plain number; write epochs: 1000, or epochs: "1_000" if it is text'),
        ("-010.50", 'models.I.epochs: -010.50 is not a plain number; write epochs: -10.5, or epochs: "-010.50" if it'),
        ("!!bool yes", 'models.I.epochs: yes is not a plain boolean; write epochs: true, or epochs: "yes" if it'),
        ("!!int x", 'models.I.epochs: x is not a plain number; write epochs: "x" if it is text'),
        ("!!null x", 'models.I.epochs: x is not a plain null; write epochs: "x" if it is text'),
        ("[3, 0_1]", 'models.I.epochs[1]: 0_1 is not a plain number; write 1, or "0_1" if it is text'),
        ("9" * 101, f"models.I.epochs: {'9' * 60}... has more than 100 digits; write a shorter number"),
        ("2001-01-01", 'models.I.epochs: 2001-01-01 is not plain text; write epochs: "2001-01-01"'),
        ("=", 'models.I.epochs: = is not plain text; write epochs: "="'),
        ("!!binary aGk=", "models.I.epochs: has the tag binary; remove it"),
        ("!!python/name:os.system", "models.I.epochs: has the tag python/name:os.system; remove it"),
        ("!mine {a: 1}", "models.I.epochs: has the tag !mine; remove it"),
        ("!!set {a}", "models.I.epochs: has the tag set; remove it"),
        ("{10: 1}", 'models.I.epochs.10: a key must be text, got a number; write "10":'),
        ("{~: 1}", 'models.I.epochs.~: a key must be text, got a null; write "~":'),
        ("{[1]: 1}", "models.I.epochs: line 1: a key must be text, got a list or a mapping"),
        ("{a: 1, a: 2}", "models.I.epochs.a: duplicate key in lines 1 and 1; remove one of them"),
        ("&a [*a]", "has more than 20,000 values with aliases expanded; use fewer aliases"),
        (r'"\ud800"', r"models.I.epochs: \ud800 has a lone surrogate, which UTF-8 can't encode; write the whole character"),
        (r'{"\ud800": 1}', r"models.I.epochs.\ud800: a key must be text, got a lone surrogate; write the whole character"),
        ("[&a 1, &a 2]", "invalid YAML: duplicate anchor; give each anchor its own name"),
        ("*a", "invalid YAML: line 1: found undefined alias 'a'; fix it"),
        ("'\x07'", "invalid YAML: unacceptable character #x0007: special characters are not allowed in"),
        ("[" * 2000, "invalid YAML: nested too deeply; use fewer levels"),
    ],
)  # fmt: skip
def test_values_that_are_invalid_or_that_dvc_reads_otherwise_are_refused(written, fault):
    [line] = told("{models: {I: {epochs: " + written + " }}}")
    assert line.startswith(fault)


def test_every_fault_is_told_and_what_an_alias_stands_for_once():
    assert [line.partition(":")[0] for line in told("a: 010\nb: &b [0x1]\nc: *b\na: 3")] == ["a", "a", "b[0]"]


@pytest.mark.parametrize("text", ["a:\n\tb: 2", "\ta: 1", "b: 1\n\tc: 2", "a: [1,\n2]\nb:\n\t- 2"])
def test_a_tab_is_named_with_its_line(text):
    line = text[: text.index("\t")].count("\n") + 1
    assert told(text) == [f"invalid YAML: line {line}: a tab in place of spaces; use spaces"]


@pytest.mark.parametrize("text", ["a: 1\n---\nb: 2", "a: 1\n...\nb: 2", "--- \na: 1\n---\n"])
def test_a_second_document_is_refused(text):
    (fault,) = told(text)
    assert re.fullmatch(
        "invalid YAML: line [23]: a second document starts here; keep one, and remove this line and what follows it",
        fault,
    )


def test_a_version_of_yaml_is_refused():
    assert told("%YAML 1.1\n---\na: yes") == ["has a line %YAML, which changes what values mean; remove that line"]


@pytest.mark.parametrize("text", ["1e-05", "1e-3", "5", "-0", "+3.5e2", ".5", "5.", ".inf", "true", "~", "yes", "1:30", "'010'", "2 0"])  # fmt: skip
def test_values_that_dvc_reads_alike_are_accepted(text):
    assert parse_yaml(f"a: {text}", "x") == dvc_reads(f"a: {text}", "x")


def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(tmp_path):
    (tmp_path / "a.yaml").write_bytes("\ufeffa: 1\r\nb: |\r\n  x\r\n  y\r\n".encode())
    assert read_yaml(tmp_path / "a.yaml") == {"a": 1, "b": "x\ny\n"}


def test_yaml_files_that_can_t_be_read_are_an_error(tmp_path):
    with pytest.raises(InputError, match=r"x: can't be read \(No such file or directory\); run from the folder that"):
        read_yaml(tmp_path / "x")
    with pytest.raises(InputError, match=r"can't be read \(Is a directory\)"):
        read_yaml(tmp_path)
    (tmp_path / "x").write_bytes(b"a: \xff")
    with pytest.raises(InputError, match=r"x: invalid YAML: not UTF-8 text, byte 0xff at position 3; save it as UTF-8"):
        read_yaml(tmp_path / "x")


class TestBounds:
    def test_characters_that_yaml_forbids_are_refused(self, tmp_path):
        most = "a: " + "x" * (MOST_CHARACTERS - 4) + "\n"
        (tmp_path / "a.yaml").write_text(most)
        assert read_yaml(tmp_path / "a.yaml") == {"a": "x" * (MOST_CHARACTERS - 4)}
        (tmp_path / "a.yaml").write_text(most + " ")
        with pytest.raises(InputError, match=r"a\.yaml: has more than 250,000 characters; shorten it"):
            read_yaml(tmp_path / "a.yaml")

    def test_more_values_than_the_bound_are_refused(self):
        assert len(parse_yaml("[" + "1," * (MOST_VALUES - 1) + "]", "x")) == MOST_VALUES - 1
        assert told("[" + "1," * MOST_VALUES + "]") == [
            "has more than 20,000 values with aliases expanded; use fewer aliases"
        ]

    def test_values_of_aliases_count_towards_the_bound(self):
        lists = [f"a{i}: &a{i} [{','.join(['x' if i == 0 else f'*a{i - 1}'] * 9)}]" for i in range(9)]
        assert "20,000 values with aliases" in told("\n".join(lists))[0]
        assert "250,000 characters with aliases" in told(f"a: &a {'x' * 1000}\nb: [{'*a,' * 300}]")[0]
        assert parse_yaml("\n".join(lists[:4]), "x") == yaml_text.load("\n".join(lists[:4]))


def same(one, other):
    return (type(one), one) == (type(other), other) or (math.isnan(one) and math.isnan(other))


SCALARS = st.text("0123456789" * 2 + "_xob+-.eE:~#!&*<=?|>%@`'\" yesnoffNULLtruaInf", max_size=8)


@settings(max_examples=1000)
@given(SCALARS)
@example("010")
@example("1_0")
@example("0b1")
@example("1:30")
def test_a_value_is_what_dvc_takes_it_for_or_refused(scalar):
    text = f"a: {scalar}\n"
    try:
        ours = parse_yaml(text, "x")
    except InputError:
        return
    theirs = dvc_reads(text, "x")
    assert ours.keys() == theirs.keys()
    assert same(ours["a"], theirs["a"]) or ours == theirs
    if isinstance(ours["a"], int | float) and not isinstance(ours["a"], bool) and math.isfinite(ours["a"]):
        assert float(re.sub(r"^(&\S+ )?[\"']?|[\"']? *(#.*)?$", "", scalar.strip())) == ours["a"]  # what people read


@settings(max_examples=400)
@given(st.lists(st.sampled_from(["a", "b", ": ", ": ", "\n", "\n  ", "- ", "[", "]", "{", "}", ", ", "&x ", "*x", "<<", "010", "1e-05", "yes", "!!str ", "!!int ", "'", "|", "\r\n"]), max_size=14).map("".join))  # fmt: skip
def test_a_whole_file_is_read_as_dvc_reads_it(text):
    try:
        ours = parse_yaml(text, "x")
    except InputError:
        return
    assert (ours or {}) == dvc_reads(text, "x")


def test_text_that_is_not_yaml_to_dvc_is_refused():
    for text in ("a: 1\na: 2", "a: [1", "a: !!python/name:os.system", "a: *b"):
        with pytest.raises(ParseError):
            dvc_reads(text, "x")
        assert told(text)
