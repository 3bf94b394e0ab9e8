"""The packages of src/deepen import one another in one direction, and each says what belongs there."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/deepen"
IMPORTS = {  # what the modules of a package may import from other packages; None: from all
    "core": (),
    "runtime": ("core",),
    "models": ("core", "runtime"),
    "config": ("core", "models"),
    "data": ("core", "runtime", "config"),
    "decoding": ("core",),
    "datasets": ("core", "config", "data", "decoding"),
    "records": ("core", "models", "config"),
    "growth": ("core", "models", "config", "records"),
    "evaluation": ("core", "runtime", "models", "config", "data"),
    "saliency": ("core", "runtime", "data"),
    "inference": ("core", "runtime", "models", "config", "data", "decoding", "datasets", "evaluation", "saliency"),
    "training": ("core", "runtime", "models", "config", "data", "records", "evaluation"),
    "tracking": ("core", "config", "records", "training"),
    "experiments": ("core", "runtime", "models", "config", "records", "evaluation", "training"),
    "seeds": ("core", "records", "evaluation", "experiments"),
    "search": ("core", "runtime", "models", "config", "records", "growth", "evaluation", "experiments"),
    "report": ("core", "models", "data", "records", "evaluation", "experiments", "seeds"),
    "project": ("core", "runtime", "models", "config", "data", "decoding", "datasets", "growth", "training"),
    "convert": ("core", "models", "data"),
    "cli": None,
}


def imported_packages(path):
    """The packages of Deepen that a module imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("deepen."))


def test_every_package_has_its_place_in_the_order():
    folders = {path.relative_to(SOURCE).parts[0] for path in SOURCE.glob("*/**/*.py")}
    assert folders == set(IMPORTS)
    assert [path.name for path in SOURCE.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("package", [name for name, allowed in IMPORTS.items() if allowed is not None])
def test_a_package_imports_only_packages_that_it_may_import(package):
    found = {
        other: path.name
        for path in (SOURCE / package).rglob("*.py")
        for other in imported_packages(path)
        if other != package
    }
    assert not {f"{name}: {other}" for other, name in found.items() if other not in IMPORTS[package]}
    assert set(IMPORTS[package]) <= set(found), "permitted, and not needed"


def test_the_permitted_imports_have_no_circle():
    placed = set()
    while ready := {name for name, allowed in IMPORTS.items() if name not in placed and set(allowed or ()) <= placed}:
        placed |= ready
    assert placed == set(IMPORTS)


@pytest.mark.parametrize("package", IMPORTS)
def test_a_package_says_what_belongs_there(package):
    assert ast.get_docstring(ast.parse((SOURCE / package / "__init__.py").read_text()))


def test_settings_import_no_pytorch():
    """`config` takes only modules of `models` that do not import PyTorch, so that settings are checked in a moment."""
    todo, seen = [SOURCE / "config" / name for name in ("settings.py", "edit.py")], set()
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "torch", path
                todo.append(SOURCE.parent / f"{(node.module or '').replace('.', '/')}.py")
            elif isinstance(node, ast.Import):
                assert all(alias.name.split(".")[0] != "torch" for alias in node.names), path
    assert len(seen) > 8
