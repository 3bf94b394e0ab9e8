import fcntl
import io
import os
import re
import struct
import sys
import termios

import pytest

from deepen.records.history import Epoch
from deepen.training.progress import TrainingProgress

ROWS = [Epoch(1, 0.1, 2.0, 1.5, 50.0), Epoch(2, 0.05, 1.0, 0.5, 75.0)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(capsys, to_follow=0.0, verbosity="normal", history=()):
    """What a training of two epochs of three steps prints, or what is left of it."""
    with TrainingProgress(
        "II", 2, 6, 10, where="2 of 8 CPU threads", to_follow=to_follow, verbosity=verbosity
    ) as progress:
        progress.start(3 * len(history), history)
        for row in ROWS[len(history) :]:
            for _ in range(3):
                progress.step()
            progress.epoch(row)
    return capsys.readouterr().out.splitlines()


def test_a_log_has_a_line_for_the_start_some_between_and_one_for_the_end(capsys):
    start, first, end = shown(capsys)
    assert start == "II: training for 2 epochs on 2 of 8 CPU threads"
    assert re.fullmatch(r"II, epoch 1 of 2: validation top-1 50\.00 %, \d+ s left", first)
    assert re.fullmatch(r"II: trained 2 epochs in \d+\.\d s, [\d,]+ images/s; validation top-1 75\.00 %", end)


@pytest.mark.parametrize(
    ("epochs", "told"), [(1, []), (2, [1]), (3, [1, 2]), (4, [1, 2, 3]), (12, [3, 6, 9]), (100, [25, 50, 75])]
)
def test_a_log_has_at_most_five_lines_however_many_epochs_there_are(capsys, epochs, told):
    with TrainingProgress("II", epochs, epochs, 10) as progress:
        progress.start(0, [])
        for epoch in range(1, epochs + 1):
            progress.step()
            progress.epoch(Epoch(epoch, 0.1, 2.0, 1.5, 50.0))
    lines = capsys.readouterr().out.splitlines()
    assert [int(found[1]) for line in lines if (found := re.match(r"II, epoch (\d+) of", line))] == told
    assert len(lines) == len(told) + 2 <= 5
    assert max(map(len, lines)) <= 80


def test_quiet_is_a_line_a_model(capsys):
    assert len(shown(capsys, verbosity="quiet")) == 1


def test_a_verbose_log_has_loss_and_learning_rate(capsys):
    assert "II, epoch 2 of 2: loss 1.000, val 0.500, top-1 75.00 %, lr 0.05, " in shown(capsys, verbosity="verbose")[2]


def test_the_time_left_for_the_ladder_counts_the_models_to_follow(capsys, monkeypatch):
    clock = iter([0.0, 30.0, 60.0, 60.0])  # ten seconds a step
    monkeypatch.setattr("deepen.training.progress.time.perf_counter", lambda: next(clock))
    _, first, _ = shown(capsys, to_follow=2.0)
    assert first.endswith("30 s left, ladder 2 min")  # 30 s, and twice the 60 s of this model


def test_after_an_interruption_it_tells_from_where_and_the_rest(capsys):
    begin, end = shown(capsys, history=ROWS[:1])
    assert begin == "II: resuming after 3 of 6 steps on 2 of 8 CPU threads"
    assert end.startswith("II: trained the last 3 steps in ")


def test_a_warning_is_a_line_of_its_own_beside_the_bar(capsys, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with TrainingProgress("II", 2, 6, 10) as progress:
        progress.start(0, ())
        progress.step()
        progress.warn("II: overfits")
        progress.step()
    before, after = terminal.getvalue().split("warning: II: overfits\n")
    assert before.endswith("\r")  # the bar was wiped away
    assert "II, epoch 1 of 2" in after


@pytest.mark.parametrize(
    ("verbosity", "lines", "bar"), [("normal", 2, True), ("verbose", 4, True), ("quiet", 1, False)]
)
def test_a_terminal_has_a_bar_that_makes_way_for_the_line(capsys, monkeypatch, verbosity, lines, bar):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert len(shown(capsys, verbosity=verbosity, to_follow=1.0)) == lines
    assert ("II, epoch 1 of 2   0%" in terminal.getvalue()) == bar
    assert terminal.getvalue().rpartition("\r")[2].strip() == ""  # nothing of the bar is left


def test_the_bar_fits_into_80_columns_whole(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    row = Epoch(11, 0.1, 2.0, 1.5, 100.0)
    with TrainingProgress("III", 12, 6000, 10, to_follow=2.0) as progress:
        progress.start(5500, [row])
        progress.step()
        progress.epoch(row)
        progress._bar.refresh()
    bars = [re.sub("\x1b[^m]*m", "", bar).rstrip() for bar in terminal.getvalue().split("\r")]
    assert max(map(len, bars)) <= 80
    assert re.fullmatch(r"III, epoch 12 of 12  92%\|.+\| .* left, validation 100\.00 %, ladder \d+ s", bars[-3])


def test_the_bar_names_the_epoch_that_has_begun(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with TrainingProgress("II", 4, 12, 10) as progress:
        progress.start(0, ())
        for row in ROWS:
            progress.epoch(row)
            assert progress._bar.desc.startswith(f"II, epoch {row.epoch + 1} of 4")


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (0, 80), (24, 0), (0, 0), (1, 80), (24, 20), (24, 1)])
def test_the_bar_is_drawn_whatever_size_a_terminal_says(monkeypatch, rows, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with TrainingProgress("II", 2, 6, 10) as progress:
            progress.start(0, ())
            progress._bar.refresh()
        drawn = re.sub("\x1b[^m]*m", "", os.read(ours, 10_000).decode())
    os.close(ours)
    bars = drawn.split("\r")
    assert bars[1].startswith("II, epoch 1 of 2"[: (columns or 80) - 1])  # nothing stands before it
    assert max(map(len, bars)) < max(2, columns or 80)


@pytest.mark.parametrize("no_color", [True, False])
def test_colours_are_for_terminals_and_can_be_had_off(capsys, monkeypatch, no_color):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("NO_COLOR", "1") if no_color else monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[3" not in "".join(shown(capsys))
    assert ("\x1b[32m" in terminal.getvalue()) != no_color


def test_a_log_has_no_control_characters(capfd):
    with TrainingProgress("II", 1, 3, 10) as progress:
        progress.start(0, [])
        progress.step()
        progress.epoch(ROWS[0])
    out, err = capfd.readouterr()
    assert (out + err).replace("\n", "").isprintable()
