"""What `import deepen` gives to programs, and that documentation and library keep to it."""

import ast
import inspect
import re
import subprocess
import sys

import pytest
import torch
from dvc_project import ROOT

import deepen
from deepen.growth.initialization import draw_he_weights
from deepen.models.weights import save_weights


@pytest.mark.parametrize("name", deepen.__all__)
def test_each_exported_name_is_documented_in_numpy_style(name):
    text = inspect.getdoc(getattr(deepen, name))
    assert text.splitlines()[0].endswith(".")
    if not (inspect.isclass(getattr(deepen, name)) and issubclass(getattr(deepen, name), Exception)):
        assert re.search(r"^(Parameters|Attributes|Returns)\n-+$", text, re.MULTILINE), name
    assert f"::: deepen.{name}\n" in (ROOT / "docs/python.md").read_text()


def test_importing_deepen_does_not_import_pytorch():
    program = "import sys, deepen; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules); deepen.InputError"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'deepen' has no attribute 'lod'$"):
        deepen.lod  # noqa: B018


def test_dir_lists_the_public_names_and_no_others():
    assert {name for name in dir(deepen) if not name.startswith("_")} == set(deepen.__all__)
    assert "__version__" in dir(deepen)
    assert all(hasattr(deepen, name) for name in dir(deepen))


def test_type_checkers_see_what_is_exported():
    (block,) = [
        node for node in ast.parse((ROOT / "src/deepen/__init__.py").read_text()).body if isinstance(node, ast.If)
    ]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {name: f"deepen.{module}" for name, module in deepen._MODULES.items()}


def test_documentation_shows_no_deeper_path():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"(?m)^\s*(from deepen\.|import deepen\.)|::: deepen\.\w+\.", page.read_text()), page.name


def test_only_the_command_line_imports_from_the_top_package():
    """It is no dependency of a stage, so a stage must not read anything from it, such as the version."""
    files = [path for folder in ("src/deepen", "pipeline", "study") for path in (ROOT / folder).rglob("*.py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "deepen":
                assert path.relative_to(ROOT / "src/deepen").as_posix() in ("cli/parser.py", "project/template.py")
                assert {alias.name for alias in node.names} == {"__version__"}


def test_a_network_loads_from_a_path_given_as_text(tmp_path):
    card = deepen.ModelCard(
        model="I",
        layers="conv3-2 maxpool fc-4",
        width=1.0,
        image=(1, 2, 2),
        classes=("a", "b"),
        mean=(0.5,),
        flip=False,
    )
    state = draw_he_weights(card.plan(), seed=0, model="I")
    save_weights(tmp_path / "I.safetensors", state, card)
    loaded, network = deepen.load_network(str(tmp_path / "I.safetensors"))
    assert loaded == card
    assert network(torch.zeros(3, 1, 2, 2)).shape == (3, 2)
