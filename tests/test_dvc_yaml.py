"""dvc.yaml and study/dvc.yaml are true: each stage depends on the code it runs, and on no more."""

import ast
import posixpath
import re
from pathlib import Path

import pytest
import yaml_text

from pipeline.shared.packages import find_package

ROOT = Path(__file__).parents[1]
STAGES = yaml_text.load((ROOT / "dvc.yaml").read_text())["stages"]
DATA, CODE = ("study/data/", "study/runs/"), "study/data/code/"
STUDY = yaml_text.load((ROOT / "study/dvc.yaml").read_text())["stages"]


def stage(name):
    return STAGES[name].get("do", STAGES[name])


def imported(path):
    """The project's own files that a file imports anywhere, also inside functions, or names, as paths from the root."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from beside(path, node.value)
            continue
        else:
            continue
        for name in names:
            folder = "src/" if name.split(".")[0] == "deepen" else ""
            for candidate in (f"{folder}{name.replace('.', '/')}.py", f"{folder}{name.replace('.', '/')}/__init__.py"):
                if candidate.startswith(("src/deepen/", "pipeline/", "study/")) and (ROOT / candidate).is_file():
                    yield candidate


def beside(path, name):
    """A file of the package that a module beside it names, as a template."""
    if (
        re.fullmatch(r"\w+(\.\w+)+", name)
        and path.startswith("src/deepen/")
        and (ROOT / path).with_name(name).is_file()
    ):
        yield str(Path(path).with_name(name))


def code_of(path):
    """All code that a file needs; not the two modules that only say what their package is or re-export."""
    found, todo = set(), [path]
    while todo:
        path = todo.pop()
        if path not in found and path not in ("src/deepen/__init__.py", "pipeline/__init__.py"):
            found.add(path)
            todo += imported(path) if path.endswith(".py") else ()
    return found


def declared_code(deps, folder=""):
    """The deps of a stage that are code, as paths from the root: files, or folders with all that is in them.

    Checksums of a folder, in the studies, count as that folder.
    """
    paths = (posixpath.normpath(posixpath.join(folder, dep)) for dep in deps if "$" not in dep)
    paths = (path.removeprefix(CODE).removesuffix(".txt") if path.startswith(CODE) else path for path in paths)
    return [path for path in paths if path.startswith(("pipeline/", "src/", "study/")) and not path.startswith(DATA)]


def assert_true(declared, needed):
    """Each file that is needed is declared, by itself or with its folder, and nothing is declared that isn't needed."""
    missing = {path for path in needed if not any(path == dep or path.startswith(f"{dep}/") for dep in declared)}
    assert not missing
    idle = {dep for dep in declared if not any(path == dep or path.startswith(f"{dep}/") for path in needed)}
    assert not idle


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_code_it_runs(name):
    assert_true(declared_code(stage(name)["deps"]), code_of(f"pipeline/{name}.py"))


@pytest.mark.parametrize("name", STUDY)
def test_a_stage_of_the_studies_depends_on_the_code_it_runs(name):
    step = STUDY[name].get("do", STUDY[name])
    script = re.match(r"cd \.\. && python -m study\.(\w+)", step["cmd"]).group(1)
    assert_true(declared_code(step["deps"], "study"), code_of(f"study/{script}.py") - {"study/__init__.py"})


def test_stages_of_the_studies_depend_on_no_folder_that_has_bytecode():
    """Only `code`, which always runs, has folders: DVC does not apply .dvcignore to those outside study/."""
    outs, used = set(STUDY["code"]["outs"]), set()
    for name in set(STUDY) - {"code"}:
        deps = STUDY[name].get("do", STUDY[name])["deps"]
        assert [dep for dep in deps if (ROOT / "study" / dep).is_dir() and not dep.startswith("runs/")] == []
        used |= {dep for dep in deps if dep.startswith("data/code/")}
    assert used == outs
    for out in outs:
        assert find_package(Path("study") / out).is_dir()


def test_long_stages_depend_on_few_files_that_they_do_not_need():
    """A folder stands for its files where nearly all are needed, or an edit would train for nothing."""
    for name in ("prepare", "train", "evaluate"):
        needed = code_of(f"pipeline/{name}.py")
        files = {
            str(path.relative_to(ROOT))
            for dep in declared_code(stage(name)["deps"])
            for path in ([ROOT / dep] if (ROOT / dep).is_file() else (ROOT / dep).rglob("*.py"))
            if path.name != "__init__.py"
        }
        assert len(files - needed) <= 0.2 * len(files), sorted(files - needed)


def test_a_person_can_read_what_a_stage_depends_on():
    assert all(len(stage(name)["deps"]) <= 17 for name in STAGES)
    assert sum(len(declared_code(stage(name)["deps"])) for name in STAGES) <= 92


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_named_as_its_script_and_as_its_command(name):
    assert re.fullmatch(rf"python -m pipeline\.{name}( \$\{{key\}})?", stage(name)["cmd"])


def test_no_output_turns_the_run_cache_off():
    for name in STAGES:
        for out in stage(name).get("outs", []):
            assert isinstance(out, str), f"{name}: an out with options, as cache: false or persist: true"


def test_training_never_sees_the_test_images():
    for name in STAGES:
        assert ("data/test.safetensors" in stage(name)["deps"]) == (name in ("evaluate", "saliency"))


@pytest.mark.parametrize("name", STAGES)
def test_a_name_that_dvc_fills_in_is_among_the_params(name):
    """DVC fills it in when it starts, and the stage reads params.yaml later: an edit in between must show in the lock."""
    params = stage(name).get("params", [])
    filled = set(re.findall(r"\$\{(data|recipe|depth)\}", str(stage(name))))
    assert filled <= set(params)


@pytest.mark.parametrize("name", sorted(STUDY.keys() - {"code"}))
def test_a_stage_of_the_studies_depends_on_the_data_set_that_it_uses_alone(name):
    params = STUDY[name].get("do", STUDY[name])["params"]
    ladder = next(file["../params.yaml"] for file in params if "../params.yaml" in file)
    assert [each for each in ladder if each.startswith("datasets")] == ["datasets.${data}"] * (name != "summary")
    assert name == "summary" or any("data" in file.get("params.yaml", []) for file in params)  # which DVC fills in
