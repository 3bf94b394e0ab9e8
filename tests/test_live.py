import json

from deepen.history import Epoch
from deepen.live import LiveCurves

ROWS = [Epoch(1, 0.1, 2.0, 1.5, 50.0), Epoch(2, 0.05, 1.0, 0.5, 75.0)]


def written(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_table_a_metric_and_no_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LiveCurves(tmp_path / "live/I") as live:
        live.start([])
        live.add(ROWS[0])
        assert (tmp_path / "live/I/plots/metrics/loss.tsv").read_text() == "step\tloss\n1\t2.0\n"  # while it trains
        live.add(ROWS[1])
    assert (tmp_path / "live/I/plots/metrics/val_top1.tsv").read_text() == "step\tval_top1\n1\t50.0\n2\t75.0\n"
    assert json.loads((tmp_path / "live/I/metrics.json").read_text())["val_loss"] == 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["live"]  # no dvc.yaml, no experiment


def test_after_an_interruption_no_row_is_missing_or_there_twice(tmp_path):
    with LiveCurves(tmp_path / "one") as live:
        for row in ROWS:
            live.add(row)
    with LiveCurves(tmp_path / "two") as live:
        live.start(ROWS[:1])
        live.add(ROWS[1])
    assert written(tmp_path / "one") == written(tmp_path / "two")
