"""The project as a project: what its files promise each other."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml_text
from conftest import is_odd, write_tree
from documents import anchors, links
from dvc_project import ROOT

import deepen

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]  # fmt: skip


def called(text):
    """The targets of the `make` commands in a text."""
    for words in re.findall(r"\bmake ((?:[A-Z]+=\S+ |[a-z-]+ ?)+)", text):
        yield from (word for word in words.split() if "=" not in word)


def test_continuous_integration_calls_targets_of_the_makefile_and_nothing_else():
    jobs = yaml_text.load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert all(command.startswith("make ") for command in commands)
    assert {"test", "browser", "docs"} == {target for command in commands for target in called(command)} <= TARGETS
    assert set(called((ROOT / ".ci/run").read_text())) == {"browser", "test"}


def test_continuous_integration_has_the_pythons_and_systems_that_the_project_names():
    matrix = yaml_text.load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"][0] == PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos"}


def test_hooks_are_the_tools_of_the_lock():
    hooks = yaml_text.load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    for hook in hooks:
        folder, tool = hook["entry"].split()[0].rsplit("/", 1)
        assert (folder, hook["language"]) == (".venv/bin", "system")
        assert tool in locked
    assert {"ruff", "ruff-format", "mypy"} == {hook["id"] for hook in hooks}


def test_make_help_lists_every_target():
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert listed == TARGETS


@pytest.mark.parametrize(
    ("words", "commands"),
    [
        (["exp", "SET=lr=0.01 seed=1"], ['deepen exp --temp --changes "$SET"']),
        (["exp", "SET=depth=I", "NAME=one", "STAGE=report"], ['deepen exp --temp --name one --changes "$SET" report']),
        (["exp", "LADDER=paper", "SET=seed=1"], ['deepen ladder paper --temp --changes "$SET"']),
        (["grid", "LADDER=paper", "SET=seed=1,2"], ['deepen ladder paper --queue --changes "$SET"']),
        (["grid", "SET=lr=0.01,0.02"], ['deepen exp --queue --changes "$SET"', "deepen queue; code=$?; deepen results; exit $code"]),
        (["search", "SET=lr=0.01..0.1"], ['deepen search --trials 20 --changes "$SET"']),
        (["search", "TRIALS=5", "NAME=a", "SET=lr=0.01..0.1", "APPLY=1"], ['deepen search --trials 5 --name a --changes "$SET" --apply']),
        (["depths", "DEPTHS=II III"], ["dvc metrics diff depth-II depth-III --targets metrics/final.json"]),
        (["seeds", "SEEDS=0 1", "SET=lr=0.01", "NAME=a"], ['deepen seeds 0 1 --name a --changes "$SET"']),
        (["seeds"], ["deepen seeds 0 1 2 3 4"]),
        (["baseline", "MODEL=II", "NAME=a"], ["deepen baseline II --of a"]),
        (["baseline"], ["deepen baseline", "deepen results"]),
        (["docs"], ["mkdocs build --strict"]),
    ],
)  # fmt: skip
def test_each_make_target_runs_its_commands(words, commands):
    done = subprocess.run(["make", "--dry-run", "INSTALLED=", *words], cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    said = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert set(commands) <= set(said)


@pytest.mark.parametrize("share", [1, 0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
@pytest.mark.half
def test_the_long_half_of_the_combinations_has_an_odd_number_of_second_values(request, recipe, dtype, share):
    """So each half has each pair of values of two parameters."""
    odd = sum((recipe == "published", dtype == "bfloat16", share == 0)) % 2 == 1
    assert is_odd(request.node) == odd
    assert (request.node.get_closest_marker("long") is not None) == odd


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deepen.Classifier" in (tmp_path / "python.html").read_text()
    for page in tmp_path.glob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"((?:https?:)?//[^\"]+)", page.read_text()
        )
        assert loaded == [], page.name


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for path, anchor in links(text):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target.read_text()), f"{path}#{anchor}"


def test_pages_of_the_site_link_to_pages_of_the_site():
    for page in (ROOT / "docs").glob("*.md"):
        assert not [path for path, _ in links(page.read_text()) if path.startswith("..")], page.name


def test_every_page_is_in_the_site_s_menu():
    menu = yaml_text.load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert {name for entry in menu for name in entry.values()} == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_the_citation_has_what_the_format_asks_for():
    citation = yaml_text.load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["authors"] == PYPROJECT["project"]["authors"]
    assert citation["version"] == deepen.__version__
    assert citation["license"] == PYPROJECT["project"]["license"]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert all({"family-names", "given-names"} == set(author) for author in reference["authors"])


def test_the_changelog_knows_the_version():
    assert f"## [{deepen.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_licence_is_the_plain_one():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "Copyright [yyyy] [name of copyright owner]" in text
    assert PYPROJECT["project"]["license-files"] == ["LICENSE"]


def test_types_are_packaged():
    assert Path(deepen.__file__).with_name("py.typed").is_file()
    assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"]["deepen"]
    assert metadata.version("deepen") == deepen.__version__


def test_the_image_installs_from_the_lock_and_ignores_no_file_that_it_copies():
    docker = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --requirement requirements.txt" in docker
    assert "\nUSER deepen\n" in docker
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for sources in re.findall(r"^COPY (.*) \S+$", docker, re.MULTILINE):
        assert set(sources.split()) <= kept
        assert all((ROOT / source).exists() for source in sources.split())


def test_a_checkout_on_windows_has_the_same_bytes(tmp_path):
    """Its git ends lines in CRLF unless told otherwise, and each file would look changed to DVC."""
    files = {name: (ROOT / name).read_bytes() for name in (".gitattributes", "params.yaml", "Makefile", "docs/report.png")}  # fmt: skip
    write_tree(tmp_path, files)
    windows = ["git", "-c", "core.autocrlf=true", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*windows, *words], cwd=tmp_path, check=True)
    for name in files:
        (tmp_path / name).unlink()
    subprocess.run([*windows, "checkout", "-q", "."], cwd=tmp_path, check=True)
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
