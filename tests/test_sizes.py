"""Functions and files are small, as CONTRIBUTING.md promises."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ("src", "pipeline", "study", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_have_at_most_200_lines_and_functions_at_most_40(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 200
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS)]
    assert [each.name for each in functions if each.end_lineno - each.lineno >= 40] == []
