"""`deepen models`, `deepen compare` and `deepen new`, on the ladder of params.yaml."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import picture, write_tree
from dvc_project import ROOT

from deepen.cli import main
from deepen.cli.edit import add_model
from deepen.cli.new import add_convolutions
from deepen.config.settings import check_text, load_settings
from deepen.core.errors import InputError
from deepen.datasets.digits import load_digits

PARAMS = (ROOT / "params.yaml").read_text().replace("width: auto ", "width: 1.0  ")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def told(*words):
    with pytest.raises(SystemExit) as exit:
        main([*map(str, words)])
    return str(exit.value).removeprefix("error: ")


class TestModels:
    def test_models_prints_the_ladder(self, folder, capsys):
        main(["models", "--project", str(folder), "--image", "3x32x32", "--json"])
        rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
        assert [row["parameters"] for row in rows.values()] == [9_878_794, 13_878_282, 23_317_514]
        assert rows["II"]["after"] == "I"
        multiplied = 32**2 * 9 * 3 * 128 + 16**2 * 9 * 128 * 256 + 8**2 * 9 * 256 * 512 + 16 * 512 * 1024 + 1024 * 10
        assert rows["I"]["MFLOPs an image"] == pytest.approx(2 * multiplied / 1e6)
        main(["models", "--project", str(folder), "--image", "3x32x32"])
        said = capsys.readouterr().out
        assert "For images of 3x32x32 in 10 classes, width 1." in said
        assert all(re.search(rf"^{name} .* >= {rows[name]['least epochs']:,} +-$", said, re.M) for name in rows)
        assert "epochs are at least as many as in the" in " ".join(said.split())

    def test_models_counts_whitening_kernels_without_padding_and_large_pools(self, folder, capsys):
        shutil.copy(ROOT / "ladders/fast.yaml", folder / "params.yaml")
        main(["models", "--project", str(folder), "--image", "3x32x32", "--json"])
        first, _ = json.loads(capsys.readouterr().out)
        whitening, channels = 31**2 * 24 * 12, (54, 216, 432)
        learned = [30**2 * 4 * 24 * 54, 14**2 * 4 * 54 * 216, 6**2 * 4 * 216 * 432, 432 * 10]
        assert first["parameters"] == 24 * 13 + 4 * (24 * 54 + 54 * 216 + 216 * 432) + 3 * sum(channels) + 4330
        assert first["MFLOPs an image"] == pytest.approx(2 * (whitening + sum(learned)) / 1e6)
        assert first["MFLOPs to learn from one"] == pytest.approx(2 * (whitening + 3 * sum(learned) - learned[0]) / 1e6)
        assert first["receptive field"] == 2 + 1 + 1 + 2 + 2 + 4 + 4 + 8 * 2
        main(["models", "--project", str(folder), "--image", "3x32x32"])
        assert "I, after scratch: whiten2-24 conv2-96 maxpool" in capsys.readouterr().out

    def test_models_too_large_for_this_machine_are_a_warning(self, folder, capsys):
        (folder / "params.yaml").write_text(PARAMS.replace("width: 1.0 ", "width: 64.0 "))
        main(["models", "--project", str(folder), "--image", "3x32x32"])
        told = capsys.readouterr()
        assert "width 64" in told.out
        assert "warning: params.yaml: width: 64 gives III 95,430,049,802 parameters" in told.err
        (folder / "params.yaml").write_text(PARAMS.replace("width: 1.0 ", "width: 64.0 ").replace("device: auto ", "device: cuda:99 "))  # fmt: skip
        main(["models", "--project", str(folder), "--image", "3x32x32"])
        assert capsys.readouterr().err == ""  # the ladder is for another machine

    def test_models_knows_the_prepared_images(self, built, capsys):
        main(["models", "--project", str(built.path)])
        assert "For images of 1x8x8 in 10 classes, width 0.03125." in (said := capsys.readouterr().out)
        assert re.search(r"^II +8 +6,338 .* 34 +1 +12$", said, re.MULTILINE)  # epochs and steps
        assert max(map(len, said.splitlines())) <= 80

    @pytest.mark.parametrize(
        ("data", "known"),
        [
            ("digits", "1x8x8 in 10"),
            ("cifar10", "3x32x32 in 10"),
            ("cifar100", "3x32x32 in 100"),
            ("fashion_mnist", "1x28x28 in 10"),
        ],
    )
    def test_models_knows_the_images_of_published_data_sets(self, folder, capsys, data, known):
        (folder / "params.yaml").write_text(PARAMS.replace("data: digits ", f"data: {data} "))
        main(["models", "--project", str(folder)])
        assert f"For images of {known} classes, width 1." in (said := capsys.readouterr().out)
        assert "which is not known here" in " ".join(said.split())

    def test_the_known_shapes_are_those_of_the_images(self):
        digits = load_digits()
        settings = check_text(PARAMS).datasets
        assert settings["digits"].known_shape == (digits.shape, len(digits.classes))

    def test_models_of_a_folder_needs_its_images_or_their_shape(self, folder, capsys):
        text = PARAMS.replace("data: digits ", "data: folder ")
        (folder / "params.yaml").write_text(text)
        path = folder / "data/train.safetensors"
        assert told("models", "--project", folder) == (
            f"{path}: no such file; run dvc repro prepare, or add --image CxHxW, for example --image 3x32x32"
        )
        (folder / "params.yaml").write_text(text.replace("size: auto ", "size: 48 "))
        assert told("models", "--project", folder).endswith(", or add --image CxHxW, for example --image 3x48x48")
        path.parent.mkdir()
        replace(load_digits(), name="images").save(path)
        assert told("models", "--project", folder) == (
            f"{path}: has images of another data set than data: folder; run dvc repro prepare, or add --image CxHxW, "
            "for example --image 3x48x48"
        )
        (folder / "params.yaml").write_text(text)
        main(["models", "--project", str(folder)])
        assert "For images of 1x8x8 in 10 classes" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("size", "mode", "shape"), [("auto", "RGB", "3x20x24"), ("48", "RGB", "3x48x48"), ("auto", "L", "1x20x24")]
    )
    def test_models_measures_the_first_image_of_a_folder(self, folder, size, mode, shape):
        text = PARAMS.replace("data: digits ", "data: folder ").replace("size: auto ", f"size: {size} ")
        (folder / "params.yaml").write_text(text)
        image = picture(mode, size=(24, 20), value=9 if mode == "L" else (9, 8, 7))
        write_tree(folder / "images", {"train/cat/000.png": image, "a.txt": b"x"})
        assert told("models", "--project", folder).endswith(f"run dvc repro prepare, or add --image {shape}")
        assert told("models", "--project", folder, "--classes", 3) == (
            f"--classes 3: requires --image; add --image {shape}"
        )
        (folder / "images/train/cat/000.png").write_bytes(b"x")
        assert "add --image CxHxW, for example" in told("models", "--project", folder)

    def test_models_ignores_the_prepared_images_of_another_data_set(self, folder, capsys):
        (folder / "data").mkdir()
        load_digits().save(folder / "data/train.safetensors")
        main(["models", "--project", str(folder)])
        assert "For images of 1x8x8 in 10 classes" in (said := capsys.readouterr().out)
        assert "not known here" not in said
        (folder / "params.yaml").write_text(PARAMS.replace("data: digits ", "data: cifar10 "))
        main(["models", "--project", str(folder)])
        assert "For images of 3x32x32 in 10 classes" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (
                ["--image", "32x32"],
                "--image 32x32: must be channels, height and width; write for example --image 3x32x32",
            ),
            (["--image", "3x0x32"], "--image 3x0x32: must be channels"),
            (["--image", "3x32x32", "--classes", 1], "--classes 1: must be at least 2; write for example --classes 10"),
            (["--classes", 5], "--classes 5: requires --image; add --image 1x8x8"),
            (["--image", "3x4x4"], "params.yaml: models.I.layers: layer 6"),
        ],
    )
    def test_each_wrong_word_is_an_error(self, folder, words, error):
        assert error in told("models", "--project", folder, *words)


class TestCompare:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "metrics").mkdir()
        (tmp_path / "params.yaml").write_text(PARAMS)
        for name, metrics in {"I": {"top1": 80.0, "top6": 1.0}, "II": {"top1": 84.5, "loss": 0.5}}.items():
            (tmp_path / "metrics" / f"{name}.json").write_text(json.dumps(metrics))
        return tmp_path

    def test_compare_prints_a_row_a_metric(self, folder, capsys):
        main(["compare", "I", "II", "--project", str(folder)])
        assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
            ["Metric", "I", "II", "Change"],
            ["top1", "80", "84.5", "4.5"],
            ["top6", "1", "-", "-"],
            ["loss", "-", "0.5", "-"],
        ]

    def test_a_number_that_is_not_that_of_the_record_is_an_error(self, project):
        main(["compare", "I", "II", "--project", str(project.path)])
        path = project.path / "metrics/II.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"top1": content["top1"] + 0.1}))
        with pytest.raises(
            SystemExit, match=r"metrics/II\.json: differs from .*records/II\.json: one of them is damaged"
        ):
            main(["compare", "I", "II", "--project", str(project.path)])

    @pytest.mark.parametrize("name", ["final", "init", "../metrics/I", ""])
    def test_compare_rejects_words_that_are_not_models(self, folder, name):
        with pytest.raises(SystemExit, match=r"invalid model name; use models of params\.yaml, for example I and III"):
            main(["compare", "I", name, "--project", str(folder)])

    def test_compare_takes_the_words_of_dvc(self, project, capsys):
        for depth in ("I", "II"):
            shutil.copy(project.path / f"metrics/{depth}.json", project.path / "metrics/final.json")
            project(f"git commit -qam {depth}")
            project(f"git tag depth-{depth}")
        difference = project("dvc metrics diff depth-I depth-II --targets metrics/final.json --no-path --all")
        main(["compare", "I", "II", "--project", str(project.path)])
        theirs, ours = ([line.split() for line in text.splitlines()] for text in (difference, capsys.readouterr().out))
        assert ours[0] == [word.removeprefix("depth-") for word in theirs[0]]
        assert {row[0] for row in ours} == {row[0] for row in theirs}
        for row in ours[1:]:
            assert [float(cell) for cell in row[1:]] == pytest.approx(
                [float(cell) for cell in next(other for other in theirs if other[0] == row[0])[1:]], abs=2e-2
            )

    def test_compare_prints_json_and_markdown(self, folder, capsys):
        main(["compare", "I", "II", "--project", str(folder), "--json"])
        assert json.loads(capsys.readouterr().out)["top1"] == {"old": 80.0, "new": 84.5, "diff": 4.5}
        main(["compare", "I", "II", "--project", str(folder), "--md"])
        assert capsys.readouterr().out.startswith("| Metric")

    def test_models_that_have_not_run_are_an_error(self, folder):
        error = told("compare", "I", "III", "--project", folder)
        assert error.startswith(
            f"{folder}/metrics/III.json: no such file; use evaluated models (I, II), or run dvc repro"
        )
        error = told("compare", "I", "IIX", "--project", folder)
        assert error == "IIX: not in params.yaml; use its models (I, II, III); did you mean II?"
        assert told("compare", "I", "--project", folder) == (
            "deepen compare I: names one model; name two, or none to compare all"
        )
        shutil.rmtree(folder / "metrics")
        assert told("compare", "I", "II", "--project", folder).endswith("II.json: no such file; run dvc repro")


class TestNew:
    def test_new_writes_the_model_and_leaves_all_else(self, folder, capsys):
        main(["new", "IV", "--after", "III", "--project", str(folder)])
        new = (folder / "params.yaml").read_text()
        assert new.startswith(PARAMS.rstrip("\n"))
        model = load_settings(folder / "params.yaml").models["IV"]
        assert (model.after, model.epochs) == ("III", None)
        assert model.layers == "conv3-128 maxpool conv3-256*2 maxpool conv3-512*8 maxpool fc-1024*2"
        assert "models.IV: after III, layers conv3-128" in capsys.readouterr().out

    def test_new_takes_each_option(self, folder):
        layers = "conv3-128 maxpool conv3-256*4 maxpool conv3-512*6 maxpool fc-1024*2"
        main(["new", "IV", "--after", "III", "--layers", layers, "--epochs", "5", "--project", str(folder)])
        main(["new", "small", "--after", "scratch", "--layers", "conv3-8", "--project", str(folder)])
        models = load_settings(folder / "params.yaml").models
        assert (models["IV"].layers, models["IV"].epochs) == (layers, 5)
        assert (models["small"].layers, models["small"].after) == ("conv3-8", "scratch")

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("conv3-8 maxpool fc-4", "conv3-8*3 maxpool fc-4"),
            ("conv3-8*2", "conv3-8*4"),
            ("conv3-8 conv1-8 fc-4", "conv3-8 conv1-8 conv3-8*2 fc-4"),
        ],
    )
    def test_new_adds_two_convolutions_after_the_last_by_default(self, before, after):
        assert add_convolutions(before) == after

    @pytest.mark.parametrize("end", ["", "\n", "\n\n# the end\n", "  # 12 epochs\n", "\n...\n"])
    @pytest.mark.parametrize("indent", [2, 4])
    def test_new_adds_whatever_follows_and_at_any_indentation(self, end, indent):
        text = PARAMS.rstrip("\n").replace("  ", " " * indent) + end
        new = add_model(text, "IV", {"after": "III", "layers": "conv3-8*40", "epochs": 1})
        assert [line for line in new.splitlines() if line in text.splitlines()] == text.splitlines()
        assert check_text(new).models["IV"].layers == "conv3-8*40"

    def test_new_adds_to_models_that_do_not_come_last(self):
        start = PARAMS.index("models:")
        text = PARAMS[start:] + "\n# settings\n" + PARAMS[:start]
        new = add_model(text, "IV", {"after": "III", "layers": "conv3-8*40", "epochs": 1})
        assert list(check_text(new).models) == ["I", "II", "III", "IV"]
        assert new.index("  IV:") < new.index("# settings")

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (["III", "--after", "II"], "params.yaml: models.III: already exists; choose another name"),
            (["IV", "--after", "V"], "--after V: unknown model; use one of scratch, I, II, III"),
            (["IV", "--after", "IIIX"], "use one of scratch, I, II, III; did you mean III?"),
            (["IV", "--after", "scratch"], "--after scratch: needs --layers; write for example --layers"),
            (["IV", "--after", "III", "--layers", "conv3-"], 'models.IV.layers[0]: "conv3-" has no channel count'),
            (["IV", "--after", "III", "--epochs", 0], "models.IV.epochs: must be greater than or equal to 1"),
            (["IV", "--after", "III", "--layers", "conv3-8"], "models.IV.after: IV has 2 weight layers and 'III' 12"),
            (["a/b", "--after", "III"], "invalid model name; use 1 to 32 letters"),
            (["IV", "--after", "III", "--layers", ""], 'models.IV.layers: "" is empty; write for example'),
            (["IV", "--after", "III", "--layers", "\udcff"], r"models.IV.layers: \udcff has a lone surrogate"),
            (["3", "--after", "III", "--epochs", 10**6], "models.3.epochs: must be less than or equal to 100000"),
        ],
    )
    def test_each_wrong_word_of_new_is_an_error_and_writes_nothing(self, folder, words, error):
        assert error in told("new", *words, "--project", folder)
        assert (folder / "params.yaml").read_text() == PARAMS

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("start", ["", "\ufeff"])
    @pytest.mark.parametrize("last", [True, False])
    def test_new_keeps_line_ends_and_byte_order_marks(self, folder, start, end, last):
        text = start + (PARAMS if last else PARAMS.rstrip("\n")).replace("\n", end)
        (folder / "params.yaml").write_bytes(text.encode())
        main(["new", "IV", "--after", "III", "--project", str(folder)])
        new = (folder / "params.yaml").read_bytes().decode()
        added = ["  IV:", "    after: III", f"    layers: {load_settings(folder / 'params.yaml').models['IV'].layers}", "    epochs: auto"]  # fmt: skip
        assert new == text.removesuffix(end) + end + end.join(added) + (end if last else "")

    @pytest.mark.parametrize(
        "layers",
        [
            ">-\n      conv3-8\n      maxpool",
            ">\n      conv3-8\n\n      maxpool\n\n",
            "|\n      conv3-8 maxpool\n",
            "|+\n      conv3-8 maxpool\n\n",
            "'conv3-8\n      maxpool'",
            "conv3-8\n      maxpool",
            "conv3-8 maxpool # a comment",
        ],
    )
    @pytest.mark.parametrize("end", ["", "\n", "\n\n# the end\n"])
    def test_new_adds_after_layers_of_any_form(self, layers, end):
        text = PARAMS[: PARAMS.index("models:")].replace("depth: III", "depth: I")
        text += f"models:\n  I:\n    after: scratch\n    epochs: 1\n    layers: {layers}{end}"
        new = add_model(text, "II", {"after": "I", "layers": "conv3-8*2", "epochs": 2})
        before, after = check_text(text).models, check_text(new).models
        assert after == before | {"II": after["II"]}
        assert (after["II"].layers, after["II"].epochs) == ("conv3-8*2", 2)

    @pytest.mark.parametrize(
        "models",
        [
            "  I: {after: scratch, layers: conv3-8, epochs: 1}",
            "  I: &I\n    after: scratch\n    layers: conv3-8\n    epochs: 1\n  J: *I",
            "  I: &I\n    after: scratch\n    layers: conv3-8\n    epochs: 1\n  J:\n    <<: *I\n    epochs: 2",
        ],
    )
    def test_new_adds_after_models_of_any_form(self, models):
        text = PARAMS[: PARAMS.index("models:")].replace("depth: III", "depth: I") + f"models:\n{models}\n"
        new = add_model(text, "II", {"after": "I", "layers": "conv3-8*2", "epochs": 2})
        assert list(check_text(new).models) == [*check_text(text).models, "II"]
        assert new.startswith(text)

    def test_new_adds_to_models_with_an_anchor(self):
        text = PARAMS.replace("models: ", "models: &all ").replace("datasets: ", "datasets: ")
        text = text.replace("    after: I\n", "    after: I\n    mapping: {}\n")
        assert add_model(text, "IV", {"after": "III", "layers": "conv3-8*40", "epochs": 1})

    def test_new_keeps_file_mode_and_link(self, folder):
        (folder / "params.yaml").rename(folder / "mine.yaml")
        (folder / "params.yaml").symlink_to("mine.yaml")
        (folder / "mine.yaml").chmod(0o640)
        main(["new", "IV", "--after", "III", "--project", str(folder)])
        assert (folder / "params.yaml").readlink().name == "mine.yaml"
        assert (folder / "mine.yaml").stat().st_mode & 0o777 == 0o640
        assert "  IV:" in (folder / "mine.yaml").read_text()
        assert sorted(file.name for file in folder.iterdir()) == ["mine.yaml", "params.yaml"]

    def test_two_new_models_at_once_are_both_written(self, folder):
        names = [f"m{i}" for i in range(6)]
        words = [sys.executable, "-c", "from deepen.cli import main; main()", "new", "--after", "III"]
        running = [
            subprocess.Popen([*words, "--project", str(folder), name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for name in names
        ]
        told = [process.communicate()[1].decode() for process in running]
        assert [process.returncode for process in running] == [0] * 6
        assert set(names) < set(load_settings(folder / "params.yaml").models)
        for line in "".join(told).splitlines():
            assert re.fullmatch(
                r".*/params.yaml: (process \d+ on .*|another process, just started), is changing it; waiting until it ends",
                line,
            )

    def test_new_adds_to_models_in_braces(self):
        start = PARAMS.index("models:")
        text = (
            PARAMS[:start]
            + "depth_: 0\n".replace("depth_: 0\n", "")
            + "models: {III: {after: scratch, layers: conv3-8, epochs: 1}}\n"
        )
        with pytest.raises(InputError, match="models: must be block style, one key per line; write it without braces"):
            add_model(text, "IV", {"after": "III", "layers": "conv3-8*4", "epochs": 1})
