from deepen.records.history import Epoch
from deepen.training.live import LiveCurves, load_live

ROWS = [Epoch(1, 0.1, 2.0, 1.5, 50.0), Epoch(2, 0.05, 1.0, 0.5, 75.0)]


def test_a_table_with_a_row_an_epoch_while_it_trains_and_no_more(tmp_path):
    live = LiveCurves(tmp_path / "live/I/curves.tsv")
    live.start(0, [])
    assert list(tmp_path.iterdir()) == []  # a table without rows is an error to DVC
    live.epoch(ROWS[0])
    assert (
        tmp_path / "live/I/curves.tsv"
    ).read_text() == "epoch\tlr\tloss\tval_loss\tval_top1\n1\t0.1\t2.0\t1.5\t50.0\n"
    live.epoch(ROWS[1])
    assert (tmp_path / "live/I/curves.tsv").read_text().splitlines()[1:] == [
        "1\t0.1\t2.0\t1.5\t50.0",
        "2\t0.05\t1.0\t0.5\t75.0",
    ]
    assert [path.name for path in tmp_path.rglob("*")] == ["live", "I", "curves.tsv"]


def test_after_an_interruption_no_row_is_missing_or_there_twice(tmp_path):
    one, two = LiveCurves(tmp_path / "one.tsv"), LiveCurves(tmp_path / "two.tsv")
    for row in ROWS:
        one.epoch(row)
    two.start(7, ROWS[:1])
    assert len((tmp_path / "two.tsv").read_text().splitlines()) == 2
    two.epoch(ROWS[1])
    assert load_live(tmp_path / "two.tsv") == ROWS
    assert load_live(tmp_path / "none.tsv") == []
    assert (tmp_path / "one.tsv").read_bytes() == (tmp_path / "two.tsv").read_bytes()
