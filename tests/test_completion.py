"""`deepen completion`: what the Tab key completes in a real shell."""

import subprocess

import pytest

from deepen.cli import main

ASK = """
source ./deepen.bash && complete -p deepen > /dev/null || exit
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_deepen deepen "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def complete(tmp_path, capsys):
    """A function that returns what bash offers for a command line, of which the last word is to be completed."""
    main(["completion", "bash"])
    (tmp_path / "deepen.bash").write_text(capsys.readouterr().out)

    def ask(*words):
        script = ASK.format(words=" ".join(f"'{word}'" for word in words))
        done = subprocess.run(["bash", "--norc", "-c", script], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return set(done.stdout.split())

    return ask


def test_bash_completes_commands_options_and_files(complete, tmp_path):
    (tmp_path / "photo.jpg").touch()
    assert {"predict", "results", "dag", "completion"} <= complete("deepen", "")
    assert complete("deepen", "pre") == {"predict"}
    assert complete("deepen", "predict", "--sin") == {"--single-view"}
    assert complete("deepen", "predict", "weights", "pho") == {"photo.jpg"}
    assert complete("deepen", "results", "--project", "pho") == {"photo.jpg"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script_with_every_command(shell, capsys):
    main(["completion", shell])
    text = capsys.readouterr().out
    assert all(command in text for command in ("predict", "evaluate", "checkpoints"))


def test_an_unknown_shell_is_one_error(capsys):
    with pytest.raises(SystemExit):
        main(["completion", "fish"])
    assert capsys.readouterr().err == (
        "error: SHELL: must be one of bash, zsh, tcsh, got 'fish'; see deepen completion --help\n"
    )
