"""The notebook runs from its first cell to the report, and is committed without outputs."""

import json

import pytest
from dvc_project import ROOT

PATH = "notebooks/first-ladder.ipynb"


def test_the_notebook_is_ten_cells_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(ROOT / PATH, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) == 10
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    assert max(len(cell.source.splitlines()) for cell in cells) <= 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs_to_the_report(project):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("captum")
    notebook = nbformat.read(project.path / PATH, as_version=4)
    here = {"metadata": {"path": str(project.path / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=here).execute(env=project.env)
    outputs = [json.dumps(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    shown = [
        "",
        "weight",
        "Running stage|didn't change",
        "top-1",
        "image/png",
        "conv2_2.weight",
        "predicted",
        "actual",
        "image/png",
        "<iframe",
    ]
    for number, (output, text) in enumerate(zip(outputs, shown, strict=True), 1):
        assert any(part in output for part in text.split("|")), (number, output[:500])
    assert "/reports/" not in project("git status --short")
    assert not [line for line in project("git status --short").splitlines() if not line.endswith(("dvc.lock",))]
