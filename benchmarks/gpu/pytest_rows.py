"""A pytest plugin that prints a line of JSON for each test as it ends, in place of pytest's own output."""

import json

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print a test once: when it was called, or when it was skipped or failed before or after that."""
    if report.when == "call" or report.outcome != "passed":
        _show(report.nodeid, report.outcome, report.duration, report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Print a file that can't be imported."""
    if report.failed:
        _show(report.nodeid, "failed", 0.0, report)


def _show(name: str, outcome: str, seconds: float, report: pytest.TestReport | pytest.CollectReport) -> None:
    row = {"test": name.removeprefix("tests/"), "outcome": outcome, "seconds": round(seconds, 3)}
    print(json.dumps(row | {"message": "" if outcome == "passed" else _summarize(report)}), flush=True)


def _summarize(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the line of an error's message, or of the reason of a skip."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr).strip()
    return " ".join(text.split())[:500]
