"""The pages of docs/ that walk through commands: each command runs, in the page's order, in a tiny project."""

import csv
import json
import re

import numpy as np
import pytest
from documents import commands, programs
from dvc_project import ALWAYS, ROOT, Project
from PIL import Image


class Walk:
    """The sections of a page, to be run one after the other."""

    def __init__(self, page, openly=()):
        self.left = commands(page, openly)

    def run(self, project, heading):
        """Run the commands below the next heading, which must be this one; what they print."""
        found = next(iter(self.left))
        assert found == heading
        return project("bash -euo pipefail -c", self.left.pop(found))


def installed(project):
    """What the pages take as given: the packages are there, `make` need not install them."""
    project.env["INSTALLED"] = ""
    return project


def table(project):
    rows = csv.DictReader(project.read("experiments.csv").splitlines())
    return {row["experiment"]: row for row in rows}


def test_the_commands_of_experiments_md_run(project, tmp_path):
    git, storage, server = tmp_path / "git", tmp_path / "storage", tmp_path / "server"
    walk = Walk(
        "docs/experiments.md",
        openly=[
            ("git@server:deepen.git", str(git)),
            ("/srv/deepen", str(storage)),
            ("source .venv/bin/activate\ndvc pull", "dvc pull"),  # the packages are those of the test
            ("models.III.epochs=16", "models.III.epochs=2"),
        ],
    )
    installed(project)
    project("git init --bare --quiet", str(git))
    project("git remote add origin", str(git))
    walk.run(project, "A place to share")

    said = walk.run(project, "One experiment")
    assert "top1" in said
    assert project("git status --short") == ""

    said = walk.run(project, "A grid")
    assert "2 experiments, one after the other: rate-1, rate-2;" in said
    assert re.search(r"^rate-[12]: top-1 \d+\.\d\d %; 1 of 2 done, about \d+ \S+ left$", said, re.MULTILINE)
    assert re.search(r"^rate-[12]: top-1 \d+\.\d\d %; 2 of 2 done$", said, re.MULTILINE)

    said = walk.run(project, "Results")
    assert all(name in said for name in ("low", "rate-1", "rate-2", "workspace", "95 % interval"))
    assert max(map(len, said.splitlines())) <= 80
    rows = table(project)
    assert {"top1", "loss", "model", "lr", "date"} < rows["low"].keys()
    assert (rows["low"]["lr"], rows["rate-2"]["lr"], rows["rate-2"]["model"]) == ("0.01", "0.06", "I")
    assert len({row["loss"] for row in rows.values()}) == 4
    assert min(rows, key=lambda name: -float(rows[name]["top1"])) == next(iter(rows))
    (project.path / "experiments.csv").unlink()

    assert "kept epoch 1, validation top-1" in walk.run(project, "Stop a training early")

    walk.run(project, "Compare two experiments in plots")
    drawn = project.read("dvc_plots/index.html")
    assert "rate-1" in drawn
    assert "rate-2" in drawn

    said = walk.run(project, "Gains from depth")
    assert "Running stage 'train@" not in said
    shallow, deep = (json.loads(project.read(f"metrics/{model}.json")) for model in ("I", "III"))
    difference = json.loads(project("dvc metrics diff depth-I depth-III --targets metrics/final.json --json"))
    assert difference["metrics/final.json"]["loss"]["diff"] == pytest.approx(deep["loss"] - shallow["loss"])
    assert project("git status --short") == ""

    walk.run(project, "Apply an experiment")
    assert "lr: 0.01" in project.read("params.yaml")
    assert project.is_up_to_date()

    assert "low" in walk.run(project, "Share an experiment").splitlines()[-1]
    project("git restore .")
    project("dvc checkout")

    server.mkdir()
    box = installed(Project(server, server))
    said = walk.run(box, "On a GPU server")
    assert "Running stage 'train@III'" in said
    assert "Running stage 'train@II'" not in said

    walk.run(project, "Back on your machine")
    assert project("git status --short") == ""
    assert project.is_up_to_date()
    assert (tmp_path / "project/weights/III.safetensors").is_file()
    params = project.read("params.yaml")
    assert "lr: 0.01" in params
    assert "epochs: 2" in params

    walk.run(project, "Problems with DVC and workarounds")
    assert project("git status --short") == ""
    assert project.is_up_to_date()
    assert not walk.left


ROTATED = 0x0112  # the EXIF tag that says how a photo is turned


def photo(path, rng, number, shade):
    """A picture of noise about a shade of its class; each size, grey, and each kind of file comes up."""
    size = [(40, 30), (90, 120), (64, 64), (50, 80)][number % 4]
    noise = rng.integers(0, 60, (*size, 3))
    image = Image.fromarray((noise + shade).clip(0, 255).astype(np.uint8))
    exif = Image.Exif()
    if number % 5 == 0:
        exif[ROTATED] = 6
    if number % 7 == 0:
        image = image.convert("L")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path.with_suffix((".jpg", ".png")[number % 2]), exif=exif)


def write_photos(root, **counts):
    rng = np.random.default_rng(0)
    shades = {"apple": (180, 30, 30), "pear": (120, 160, 20), "plum": (60, 20, 120)}
    for name, count in counts.items():
        for number in range(count):
            photo(root / name / f"{number:04}", rng, number, np.array(shades[name]))


COUNTS = {"apple": 60, "pear": 25, "plum": 12}


def write_listed(root, table, header, folders):
    """Photos in no class folder, and tables of their classes; `folders` has those of the parts."""
    write_photos(root.with_name(f"{root.name} sorted"), **COUNTS)
    for number, source in enumerate(sorted(root.with_name(f"{root.name} sorted").glob("*/*"))):
        part = {0: "test", 1: "validation"}.get(int(source.stem) % 10, "train")
        folder = folders.get(part, part)
        path = root / folder / f"{number:04}{source.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        source.rename(path)
        listing = root / table.format(part=folder)
        cells = [path.name, source.parent.name, part][: header.count(",") + 1]
        listing.write_text(f"{listing.read_text() if listing.exists() else header}\n{','.join(cells)}")


def printed(heading):
    """The lines that the page shows as what the commands below a heading print, after them."""
    body = (ROOT / "docs/your-images.md").read_text().partition(f"\n## {heading}\n")[2]
    return re.search(r"```bash\n.*?```text\n(.*?)```", body, re.DOTALL)[1].splitlines()


def test_the_commands_of_your_images_md_run(project, tmp_path):
    write_photos(tmp_path / "photos/train", **COUNTS)
    write_photos(tmp_path / "other-photos", apple=4, pear=3, plum=2)
    shorter = [  # all layouts are prepared, and two of them trained on
        ("../fruit -S datasets.folder.size=32", "check"),
        ("../hub -S datasets.folder.size=32", "check"),
        ("columns.label=fruit", "-S depth=I report"),
    ]
    walk = Walk("docs/your-images.md", openly=[(command, f"{command} {end}") for command, end in shorter])

    said = walk.run(project, "Train")
    page = (ROOT / "docs/your-images.md").read_text()
    told = re.search(r"^## Warnings.*?```text\n(.*?)```", page, re.MULTILINE | re.DOTALL)[1]
    assert set(told.splitlines()) < set(said.splitlines())
    assert "balanced top-1" in project.read("reports/table.md")
    assert project("git status --short") == ""

    said = walk.run(project, "Read the results")
    assert "balanced_top1" in said
    metrics = json.loads(project.read("metrics/III.json"))
    assert {"top1", "top2", "top3", "balanced_top1"} <= metrics.keys()
    assert metrics["top3"] == 100

    report = project.read("reports/index.html")
    assert all(name in report for name in ("balanced", "apple", "pear", "plum"))

    said = walk.run(project, "After changing photos")
    assert re.findall(r"^Running stage '(.*)':", said, re.MULTILINE) == [*ALWAYS]

    said = walk.run(project, "Use the network")
    assert all(name in said for name in ("apple", "pear", "plum"))
    assert "9 images" in said

    write_photos(tmp_path / "fruit", **COUNTS)
    said = walk.run(project, "Class folders without train")
    assert set(printed("Class folders without train")) < set(said.splitlines())

    write_listed(tmp_path / "hub", "{part}/metadata.csv", "file_name,label", {"validation": "train"})
    said = walk.run(project, "Hugging Face's imagefolder")
    assert set(printed("Hugging Face's imagefolder")) < set(said.splitlines())
    assert "11 images of test/, accuracy" in said

    write_listed(
        tmp_path / "listed", "labels.csv", "file,fruit,split", dict.fromkeys(("train", "validation", "test"), "")
    )
    said = walk.run(project, "Classes in a table")
    assert set(printed("Classes in a table")) < set(said.splitlines())
    assert "11 images of test/, accuracy" in said
    table = tmp_path / "listed/labels.csv"
    table.write_text(table.read_text().replace("pear,test", "plum,test"))
    assert project.ran("dvc repro check")[0] == "prepare"
    assert not walk.left


def test_the_programs_of_python_md_run(project):
    rng = np.random.default_rng(0)
    photo(project.path / "photo", rng, 0, 90)
    photo(project.path / "other", rng, 1, 90)
    said = [project("python -W error -c", program) for program in programs("docs/python.md")]
    assert re.fullmatch(r"[0-9]\n", said[0])  # a digit's class
    assert "('fc2.weight', 'fresh')" in said[-1]
