"""One printable line a fault, and no more lines than people read."""

import pytest

from deepen.cli import main
from deepen.core.errors import InputError, escape_unprintable, format_faults, quote, unquote


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb", r"a\nb"), ("\x1b[31m", r"\x1b[31m"), ("\u202e", r"\u202e"), ("\ud800", r"\ud800"), ("é 🐈", "é 🐈"), ("\0", r"\x00")],
)  # fmt: skip
def test_unprintable_characters_are_escaped(text, shown):
    assert escape_unprintable(text) == shown
    assert InputError(f"x: {text}").faults == (f"x: {shown}",)


@pytest.mark.parametrize("name", ["a b", "a\nb", "'a'", "'a\\n'", '"', "''", "\"a'", "'a\n'", "\u202f", "\udcff", "é'"])
def test_a_name_on_one_line_can_be_read_back(name):
    assert quote(name).isprintable()
    assert unquote(quote(name)) == name


def test_a_long_line_keeps_its_ends():
    for text in ("a" * 1000, "a" * 1001, "a" + "x" * 10**6 + "the remedy", "\0" * 1000):
        [line] = InputError(text).faults
        assert len(line) <= 1000
        assert line[-3:] == escape_unprintable(text)[-3:]
    assert InputError("a" * 1000).faults == ("a" * 1000,)
    assert " ... " in InputError("a" * 1001).faults[0]


@pytest.mark.parametrize(("faults", "lines"), [(1, 1), (20, 20), (21, 21), (500, 21)])
def test_at_most_twenty_errors_are_listed(faults, lines):
    listed = format_faults(InputError([f"fault {i}" for i in range(faults)]))
    assert len(listed) == lines
    assert listed[0] == "error: fault 0"
    assert faults <= 20 or listed[20] == f"error: ... and {faults - 20} more"


def test_a_command_in_a_message_can_be_read_back(tmp_path):
    (tmp_path / "params.yaml").write_text("".join(f"key{i}: 1\n" for i in range(100)))
    with pytest.raises(SystemExit) as exit:
        main(["settings", str(tmp_path / "params.yaml")])
    assert len(str(exit.value).splitlines()) == 21
