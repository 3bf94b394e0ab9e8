import csv
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import archive, photos, picture, write_tree
from PIL import Image
from tensors import draw_he_weights, load_weights

import deepen
from deepen.cli import main
from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import infer
from deepen.evaluation.views import compute_dense_logits
from deepen.inference import classifier as prediction
from deepen.models.networks import load_network
from deepen.models.weights import ModelCard, save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network that has not learned, for 8x8 pixels in colour, and another in grey."""

    def made(channels):
        card = ModelCard(
            model="I",
            layers="conv3-16 maxpool fc-16",
            width=1.0,
            image=(channels, 8, 8),
            classes=("cat", "dog", "a, <b>"),
            mean=(0.4,) * channels,
            flip=True,
        )
        path = tmp_path_factory.mktemp("weights") / f"{channels}.safetensors"
        save_weights(path, draw_he_weights(card.plan(), seed=0, model="I"), card)
        return path

    return {channels: made(channels) for channels in (1, 2, 3)}


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


class TestClassifier:
    def test_the_classifier_predicts_what_the_network_computes(self, weights, pixels):
        card, network = load_network(weights[3])
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        for flips in (True, False):
            with torch.inference_mode():
                _, expected = infer(network, batch, torch.tensor(card.mean), flip_averaging=flips, dtype=torch.float32)
            found = deepen.load(weights[3], "cpu", flips).predict(pixels)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=1e-5)
        assert deepen.load(weights[3], "cpu").predict(pixels[0]).shape == (1, 3)

    def test_its_repr_names_the_network(self, weights):
        assert repr(deepen.load(weights[3], "cpu")) == (
            "<Classifier I: conv3-16 maxpool fc-16, 3 classes, images of 3x8x8, on cpu in float32>"
        )

    @pytest.mark.parametrize("views", ["centre", "shifts", "crops", "dense"])
    def test_the_classifier_averages_views_of_larger_images(self, weights, tmp_path, rng, views):
        card, state = load_weights(weights[3])
        save_weights(tmp_path / "larger", state, card.model_copy(update={"stored": (12, 12)}))
        network = deepen.load(tmp_path / "larger", "cpu", flip_averaging=False, views=views)
        pixels = rng.integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - torch.tensor(card.mean)[:, None, None]
        net = load_network(weights[3])[1]
        places = {"centre": [(2, 2)], "crops": [(y, x) for y in range(5) for x in range(5)]}.get(views)
        middle = torch.nn.functional.pad(batch[:, :, 2:10, 2:10], (1, 1, 1, 1), "reflect")
        if views == "shifts":
            batch, places = middle, [(1, 1), (0, 0), (2, 2)]
        with torch.inference_mode():
            logits = [net(batch[:, :, y : y + 8, x : x + 8]) for y, x in places] if places else [compute_dense_logits(net, batch)]  # fmt: skip
        expected = torch.stack(logits).softmax(2).mean(0)
        np.testing.assert_allclose(network.predict(pixels), expected, atol=1e-5)
        judged = network.evaluate(ImageSet(pixels.transpose(0, 3, 1, 2), np.zeros(5, np.int64), card.classes))
        assert torch.equal(judged.predicted, expected.argmax(1))
        larger = Image.fromarray(pixels[0]).resize((24, 24), Image.Resampling.NEAREST)
        assert network.predict(larger).shape == (1, 3)

    @pytest.mark.parametrize(("views", "got"), [("foo", "the string 'foo'"), ("", "the string ''"), (None, "nothing"), (["crops"], "['crops']")])  # fmt: skip
    def test_unknown_views_are_an_error(self, weights, views, got):
        with pytest.raises(InputError) as error:
            deepen.load(weights[3], "cpu", views=views)
        assert str(error.value) == (
            f"views: must be one of centre, shifts, crops, dense, got {got}; write for example crops"
        )

    @pytest.mark.parametrize("views", ["crops", "dense"])
    def test_views_of_larger_images_that_are_the_centre_alone_are_an_error(self, weights, tmp_path, views):
        card, state = load_weights(weights[3])
        save_weights(tmp_path / "equal", state, card.model_copy(update={"stored": (8, 8)}))
        (tmp_path / "x.png").write_bytes(picture())
        told = (
            f"views: {views} requires images larger than the network's input, but this network was trained on whole "
            "images of 8x8; use centre or shifts, or train with a view smaller than the images"
        )
        for path in (weights[3], tmp_path / "equal"):
            with pytest.raises(InputError) as error:
                deepen.load(path, "cpu", views=views)
            assert str(error.value) == told
            for command, data in (("predict", tmp_path / "x.png"), ("evaluate", tmp_path)):
                with pytest.raises(SystemExit) as exit:
                    run(command, path, data, "--views", views, "--device", "cpu")
                assert str(exit.value) == f"error: {told}"

    def test_paths_pictures_and_arrays_are_the_same_images(self, weights, pixels, tmp_path):
        pictures = [Image.fromarray(image) for image in pixels]
        paths = [tmp_path / f"{i}.png" for i in range(5)]
        for path, image in zip(paths, pictures, strict=True):
            image.save(path)
        network = deepen.load(weights[3], "cpu")
        expected = network.predict(pixels)
        for images in (pictures, paths, list(map(str, paths)), [paths[0], *pictures[1:]]):
            np.testing.assert_array_equal(network.predict(images), expected)

    @pytest.mark.parametrize(
        ("mode", "size", "options"),
        [("L", (8, 8), {}), ("P", (20, 9), {}), ("RGBA", (3, 50), {}), ("1", (8, 8), {}), ("I;16", (9, 9), {}), ("LA", (8, 8), {})],
    )  # fmt: skip
    @pytest.mark.parametrize("channels", [1, 3])
    def test_pictures_of_any_kind_and_size_are_predicted(self, weights, tmp_path, mode, size, options, channels):
        (tmp_path / "x.png").write_bytes(picture(mode, size, **options))
        network = deepen.load(weights[channels], "cpu")
        found = network.predict(tmp_path / "x.png")
        assert found.sum() == pytest.approx(1)
        np.testing.assert_array_equal(found, network.predict(Image.open(tmp_path / "x.png")))

    def test_batches_and_their_order_do_not_show(self, weights, pixels, monkeypatch):
        network = deepen.load(weights[3], "cpu")
        expected = network.predict(pixels)
        monkeypatch.setattr(prediction, "BATCH", 2)
        np.testing.assert_allclose(network.predict(iter(pixels)), expected, atol=1e-6)

    def test_predicting_no_images_gives_no_rows(self, weights):
        assert deepen.load(weights[3], "cpu").predict([]).shape == (0, 3)

    def test_inputs_that_are_not_images_are_reported_together(self, weights, tmp_path, pixels):
        (tmp_path / "bad.png").write_bytes(b"no image")
        with pytest.raises(InputError) as error:
            deepen.load(weights[3], "cpu").predict(
                [tmp_path / "none.png", tmp_path / "bad.png", pixels[0] / 255, pixels[:, :4], 7, pixels[0]]
            )
        assert [fault.removeprefix(f"{tmp_path}/") for fault in error.value.faults] == [
            "none.png: can't be read as an image (No such file or directory); replace or leave it out",
            "bad.png: can't be read as an image (unknown format; supported: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF); replace or leave it out",
            "images[2]: an array of float64 and shape (8, 8, 3); give uint8, 0-255, of shape (height, width) or "
            "(height, width, 1, 3 or 4)",
            "images[3]: an array of uint8 and shape (5, 4, 8, 3); give uint8, 0-255, of shape (height, width) or "
            "(height, width, 1, 3 or 4)",
            "images[4]: int is not an image; give a path, the bytes of a file, a binary file object, a PIL image or a uint8 array",
        ]

    def test_one_image_and_several_are_the_same_to_predict_and_stream(self, weights, pixels, tmp_path):
        network = deepen.load(weights[3], "cpu")
        Image.fromarray(pixels[0]).save(tmp_path / "x.png")
        rgba = np.concatenate([pixels, np.full((5, 8, 8, 1), 255, np.uint8)], 3)
        for images in (
            pixels,
            pixels[0],
            rgba,
            rgba[0],
            pixels[0, ..., 0],
            pixels[..., :1],
            tmp_path / "x.png",
            str(tmp_path / "x.png"),
            [],
        ):
            found = network.predict(images)
            answers = [answer.probabilities for answer in network.stream(images)]
            np.testing.assert_array_equal(found, np.array(answers, np.float32).reshape(-1, 3))
        assert network.predict(rgba).shape == (5, 3)
        for bad in (pixels / 255, pixels.transpose(0, 3, 1, 2), 5, None, torch.zeros(3, 8, 8)):
            with pytest.raises(InputError, match=r"^images: "):
                network.predict(bad)
            with pytest.raises(InputError, match=r"^images: "):
                next(network.stream(bad))

    def test_an_image_that_may_be_read_wrongly_is_a_warning(self, weights, tmp_path):
        (tmp_path / "x.png").write_bytes(picture("I;16", value=100))
        with pytest.warns(UserWarning, match=r"x\.png: is nearly black: none of its 16-bit values exceeds 100; if"):
            assert deepen.load(weights[3], "cpu").predict(tmp_path / "x.png").shape == (1, 3)

    def test_an_iteration_that_is_left_early_decodes_no_more(self, weights, pixels, monkeypatch):
        read = []
        monkeypatch.setattr(prediction, "BATCH", 2)
        images = (read.append(i) or pixels[i % 5] for i in range(100))
        answers = deepen.load(weights[3], "cpu").stream(images)
        next(answers)
        answers.close()
        assert len(read) == 4

    def test_a_pipe_is_not_waited_for(self, weights):
        with pytest.raises(InputError, match=r"/dev/zero: can't be read as an image \(it is not a regular file\)"):
            deepen.load(weights[3], "cpu").predict("/dev/zero")

    def test_images_of_other_channels_are_no_pictures(self, weights):
        with pytest.raises(InputError, match="the network needs images of 2 channels; 1 and 3 are supported"):
            deepen.load(weights[2])

    def test_predicting_on_a_missing_device_is_an_error(self, weights):
        with pytest.raises(InputError, match="device: cuda:99 is not available; available:"):
            deepen.load(weights[3], "cuda:99")


def run(*words):
    main([*map(str, words)])


@pytest.fixture
def album(tmp_path, monkeypatch):
    """A folder with images below it, which is the working directory."""
    write_tree(
        tmp_path,
        {"a.png": picture(size=(9, 20)), "more/b.JPG": picture(format="JPEG"), "more/deep/c\n.png": picture("L"), "notes.txt": b"x"},
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestPredict:
    def rows(self, capsys, *words):
        run("predict", *words, "--csv", "--device", "cpu")
        return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    def images(self, capsys, *words):
        return [row["image"] for row in self.rows(capsys, *words) if row["rank"] == "1"]

    def test_files_folders_and_patterns_are_predicted(self, weights, album, capsys):
        assert self.images(capsys, weights[3], "a.png") == ["a.png"]
        assert self.images(capsys, weights[3], ".") == ["a.png", "more/b.JPG", "'more/deep/c\\n.png'"]
        assert self.images(capsys, weights[3], "m*/*.JPG", "a.png") == ["more/b.JPG", "a.png"]

    def test_folders_are_read_by_the_rule_of_training(self, weights, album, capsys):
        skipped = {".ipynb_checkpoints/a.jpg": picture(), "@eaDir/a.png/thumb.jpg": picture(), "._a.png": b"\0\5\26\7",
                   ".hidden.png": picture(), "film.mp4": b"x"}  # fmt: skip
        read = {"x.jfif": picture(format="JPEG"), "named": picture(), "more/1/2/3/4/5/6/7.png": picture()}
        write_tree(album / "folder", skipped | read)
        write_tree(album / "elsewhere", {"o.png": picture()})
        (album / "folder/linked").symlink_to(album / "elsewhere")
        run("predict", weights[3], "folder", "--csv", "--device", "cpu")
        out, err = capsys.readouterr()
        assert [row["image"] for row in csv.DictReader(io.StringIO(out)) if row["rank"] == "1"] == [
            "folder/linked/o.png", "folder/more/1/2/3/4/5/6/7.png", "folder/named", "folder/x.jfif"
        ]  # fmt: skip
        assert err.splitlines() == [
            "folder: skipped 1 file that is not an image: film.mp4",
            "folder: skipped 1 hidden image, whose own or folder's name starts with a dot: .hidden.png",
        ]

    @pytest.mark.parametrize("words", [["folder"], ["folder/x.heic", "folder/x.dng"], ["folder/*"]])
    def test_formats_that_are_not_supported_are_reported_and_the_rest_predicted(self, weights, album, capsys, words):
        heic = b"\0\0\0\x18ftypheic" + bytes(60)
        write_tree(album / "folder", {"x.heic": heic, "x.dng": picture(format="TIFF")})
        with pytest.raises(SystemExit) as exit:
            run("predict", weights[3], *words, "a.png", "--csv", "--device", "cpu")
        assert sorted(str(exit.value).splitlines()) == [
            "error: folder/x.dng: can't be read as an image (raw camera data is not supported; convert it to JPEG or PNG); replace or leave it out",
            "error: folder/x.heic: can't be read as an image (HEIC is not supported; convert it to JPEG or PNG); replace or leave it out",
        ]  # fmt: skip
        assert "a.png,1," in capsys.readouterr().out

    def test_a_folder_that_can_t_be_listed_is_an_error(self, weights, album, monkeypatch):
        scandir, access = os.scandir, os.access

        def refusing(path):
            if str(path).endswith("deep"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)
        monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("deep") and access(path, mode))
        for word, fault in (
            (".", ".: more/deep: can't be listed (Permission denied); make it readable or move it away"),
            ("more/*/*.png", "more/deep: can't be listed (Permission denied); make it readable"),
            ("**/*.png", "more/deep: can't be listed (Permission denied); make it readable"),
        ):
            with pytest.raises(SystemExit) as exit:
                run("predict", weights[3], word)
            assert str(exit.value) == f"error: {fault}"

    def test_a_link_that_leads_back_is_an_error(self, weights, album):
        (album / "more/deep/up").symlink_to(album / "more")
        with pytest.raises(
            SystemExit, match=r"more: deep/up: is a link to the same folder as the root; remove the link"
        ):
            run("predict", weights[3], "more")

    def test_a_folder_that_a_pattern_matches_is_read_as_a_folder(self, weights, album, capsys):
        assert self.images(capsys, weights[3], "m*") == ["more/b.JPG", "'more/deep/c\\n.png'"]

    @pytest.mark.parametrize("content", [b"a.png\nmore/b.JPG\n", b"more/b.JPG\0more/deep/c\n.png\0"])
    def test_a_list_on_standard_input_is_predicted(self, weights, album, capsys, monkeypatch, content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert len(self.images(capsys, weights[3], "-")) == 2

    def test_csv_json_and_table_agree_with_the_network(self, weights, album, capsys):
        expected = deepen.load(weights[3], "cpu").predict(["a.png"])[0]
        classes = ("cat", "dog", "a, <b>")
        best = sorted(range(3), key=lambda i: -expected[i])
        rows = self.rows(capsys, weights[3], "a.png")
        assert [row["class"] for row in rows] == [classes[i] for i in best]
        assert [float(row["probability"]) for row in rows] == pytest.approx(expected[best], abs=1e-6)
        run("predict", weights[3], "a.png", "more", "--json", "--top", 2, "--device", "cpu")
        found = json.loads(capsys.readouterr().out)
        assert [image["image"] for image in found] == ["a.png", "more/b.JPG", "more/deep/c\n.png"]
        assert [row["class"] for row in found[0]["classes"]] == [classes[i] for i in best[:2]]
        run("predict", weights[3], "a.png", "--device", "cpu")
        head, _, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["image", "1", "2", "3"]
        assert f"{classes[best[0]]} {100 * expected[best[0]]:.1f} %" in row

    def test_the_single_view_is_another_answer(self, weights, album, rng, capsys):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save("a.png")
        assert self.rows(capsys, weights[3], "a.png") != self.rows(capsys, weights[3], "a.png", "--single-view")

    @pytest.mark.parametrize("form", ["--json", "--csv"])
    def test_files_that_can_t_be_read_are_reported_and_the_rest_predicted(self, weights, album, capsys, form):
        (album / "bad.png").write_bytes(b"no image")
        with pytest.raises(SystemExit) as exit:
            run("predict", weights[3], "bad.png", "a.png", form, "--device", "cpu")
        assert (
            str(exit.value)
            == "error: bad.png: can't be read as an image (unknown format; supported: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF); "
            "replace or leave it out"
        )
        out = capsys.readouterr().out
        assert "a.png" in out
        if form == "--json":
            assert [len(image["classes"]) for image in json.loads(out)] == [0, 3]
            assert "can't be read" in json.loads(out)[0]["error"]

    @pytest.mark.parametrize("form", ["--json", "--csv"])
    def test_an_empty_list_is_an_empty_answer(self, weights, album, capsys, monkeypatch, form):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
        run("predict", weights[3], "-", form, "--device", "cpu")
        assert capsys.readouterr().out.strip() in ("[]", "image,rank,class,probability")

    @pytest.mark.parametrize(
        ("images", "reader", "read"),
        [(3000, "head -1", "image,rank,class,probability\n"), (1, "(exec 0<&-; sleep 6)", "")],
        ids=["enough", "nothing"],
    )
    def test_a_reader_that_goes_away_is_no_error(self, weights, album, monkeypatch, images, reader, read):
        monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
        deepen = f"{sys.executable} -c 'from deepen.cli import main; main()'"
        command = f"yes a.png | head -{images} | {deepen} predict {weights[3]} --csv - | {reader}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (read, "")

    @pytest.fixture
    def japanese(self, weights, tmp_path):
        """A network whose classes have Japanese names, and one that is a formula."""
        card, state = load_weights(weights[3])
        path = tmp_path / "japanese.safetensors"
        save_weights(path, state, card.model_copy(update={"classes": ("\u732b", "\u72ac", "=1+1")}))
        return path

    def started(self, *words, **environment):
        return subprocess.run(
            [sys.executable, "-c", "from deepen.cli import main; main()", "predict", *map(str, words), "--device", "cpu"],
            capture_output=True, env={**os.environ, **environment},
        )  # fmt: skip

    def test_class_names_of_any_script_are_printed_in_the_c_locale(self, japanese, album):
        environment = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
        done = self.started(japanese, "a.png", "--csv", **environment)
        assert done.stderr == b""
        assert {row["class"] for row in csv.DictReader(io.StringIO(done.stdout.decode()))} == {
            "\u732b",
            "\u72ac",
            "'=1+1",
        }
        done = self.started(japanese, "a.png", "--json", **environment)
        assert {row["class"] for row in json.loads(done.stdout)[0]["classes"]} == {"\u732b", "\u72ac", "=1+1"}
        done = self.started(japanese, "a.png", **environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\\u732b" in done.stdout

    def test_warnings_that_are_errors_change_nothing(self, weights, album):
        (album / "big.tif").write_bytes(picture("1", size=(12_000, 9_000), value=1, format="TIFF"))
        done = self.started(weights[3], "big.tif", "--csv", PYTHONWARNINGS="error::UserWarning,error::RuntimeWarning")
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"big.tif") == 3

    def test_a_name_that_is_a_formula_is_a_text_to_spreadsheets(self, japanese, album, capsys):
        (album / "=1+1.png").write_bytes(picture())
        rows = self.rows(capsys, japanese, "=1+1.png")
        assert {row["image"] for row in rows} == {"'=1+1.png"}
        assert sorted(row["class"][0] for row in rows) == ["'", "\u72ac", "\u732b"]
        assert sum(float(row["probability"]) for row in rows) == pytest.approx(1, abs=1e-5)

    def test_images_that_may_be_read_wrongly_are_told_once_and_counted(self, weights, album, capsys):
        for i in range(12):
            (album / f"more/dark{i:02}.png").write_bytes(picture("I;16", value=100))
        run("predict", weights[3], "more", "--json", "--device", "cpu")
        out, told = capsys.readouterr()
        assert [line.split(": ")[1] for line in told.splitlines()] == [f"more/dark{i:02}.png" for i in range(10)] + ["... and 2 more"]  # fmt: skip
        found = {row["image"]: row for row in json.loads(out)}
        assert "is nearly black" in found["more/dark03.png"]["warnings"][0]
        assert "warnings" not in found["more/b.JPG"]

    def test_ctrl_c_ends_it_at_once_in_the_midst_of_an_image(self, weights, album):
        code = (
            "import sys, time\nfrom deepen.inference import pictures\nfrom deepen.cli import main\n"
            "def slow(*rest):\n    print('decoding\\n', end='', file=sys.stderr, flush=True)\n    time.sleep(30)\n"
            "pictures.read_picture = slow\nmain()\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, "predict", weights[3], "a.png", "a.png", "--csv"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        assert process.stderr.readline() == "decoding\n"
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=25)
        assert process.returncode == 130
        assert out == "image,rank,class,probability\n"
        assert told.replace("decoding\n", "") == "interrupted after 0 of 2 images\n"

    def test_words_that_name_nothing_are_told_at_once(self, weights, album):
        (album / "empty").mkdir()
        with pytest.raises(SystemExit) as exit:
            run("predict", weights[3], "x.png", "*.gif", "empty")
        assert str(exit.value).splitlines() == [
            "error: x.png: no such file or folder; this folder contains a.png, empty, more and 1 more",
            "error: *.gif: matches no file; check the pattern",
            "error: empty: no images found; add JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF files",
        ]

    def test_top_must_be_at_least_one(self, weights, album):
        with pytest.raises(SystemExit, match="--top 0: must be at least 1; write for example --top 5"):
            run("predict", weights[3], "a.png", "--top", 0)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["predict", "W", ""], "IMAGE"),
        (["predict", "", "a.png"], "WEIGHTS"),
        (["evaluate", "W", ""], "DATA"),
        (["evaluate", "W", "more", "--mistakes", ""], "--mistakes"),
        (["export", "W", "--to", "onnx", "--output", ""], "--output"),
        (["import", ""], "FILE"),
        (["import", "a.png", "--classes", ""], "--classes"),
        (["settings", ""], "FILE"),
        (["models", "--project", ""], "--project"),
        (["compare", "I", "II", "--project", ""], "--project"),
    ],
)
def test_an_empty_file_name_is_an_error_and_not_this_folder(weights, album, capsys, words, name):
    with pytest.raises(SystemExit):
        run(*(weights[3] if word == "W" else word for word in words))
    told = f"error: {name}: empty file name; name a file or folder; see deepen {words[0]} --help\n"
    assert capsys.readouterr().err == told


def test_an_empty_file_name_is_an_error_in_python(weights):
    for load in (deepen.load, deepen.load_network):
        with pytest.raises(InputError, match=r"^weights: empty file name; name a file or folder$"):
            load("")
    for images in ("", [""]):
        with pytest.raises(InputError, match=r"^images\[0\]: empty file name; name a file or folder$"):
            deepen.load(weights[3], "cpu").predict(images)


class TestEvaluate:
    @pytest.fixture
    def judged(self, rng):
        """Thirty images of cats and ten of dogs, of which the network knows a third class."""
        files = {}
        for name, count in (("cat", 30), ("dog", 10)):
            for i in range(count):
                file = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
                files[f"{name}/{i}.png"] = file.getvalue()
        return files

    def found(self, capsys, *words):
        run("evaluate", *words, "--json", "--device", "cpu")
        return json.loads(capsys.readouterr().out)

    @pytest.mark.parametrize("words", [(), ("--single-view",)])
    def test_evaluate_counts_what_the_network_predicts(self, weights, judged, tmp_path, capsys, words):
        write_tree(tmp_path, judged)
        found = self.found(capsys, weights[3], tmp_path, *words)
        network = deepen.load(weights[3], "cpu", False if words else None)
        predicted = network.predict([tmp_path / file for file in judged]).argmax(1)
        right = [file.split("/")[0] == network.classes[label] for file, label in zip(judged, predicted, strict=True)]
        assert found["images"] == 40
        assert found["top"][0]["accuracy"] == pytest.approx(100 * sum(right) / 40)
        assert found["top"][0]["low"] <= found["top"][0]["accuracy"] <= found["top"][0]["high"]
        assert found["top"][2]["accuracy"] == 100
        assert [(row["class"], row["images"]) for row in found["classes"]] == [("cat", 30), ("dog", 10)]
        shares = [row["recognized"] / row["images"] for row in found["classes"]]
        assert found["balanced_top1"] == pytest.approx(100 * sum(shares) / 2)

    def test_folders_archives_and_test_below_are_the_same(self, weights, judged, tmp_path, capsys):
        write_tree(tmp_path / "plain", judged)
        write_tree(tmp_path / "test", {f"test/{name}": content for name, content in judged.items()})
        write_tree(tmp_path / "test", {f"train/{name}": content for name, content in photos().items()})
        archive(tmp_path / "x.zip", judged, "zip")
        found = [self.found(capsys, weights[3], tmp_path / name) for name in ("plain", "test", "x.zip")]
        assert [each.pop("part") for each in found] == [None, "test", None]
        assert found[0] == found[1] == found[2]

    def test_mistakes_are_written_with_their_names(self, weights, judged, tmp_path, capsys):
        write_tree(tmp_path / "images", {f"test/{name}": content for name, content in judged.items()})
        found = self.found(capsys, weights[3], tmp_path / "images", "--mistakes", tmp_path / "out" / "x.csv")
        with (tmp_path / "out" / "x.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        recognized = {row["class"]: row["recognized"] for row in found["classes"]}
        assert len(rows) == 40 - sum(recognized.values()) > 0
        assert all(
            row["image"].startswith(f"test/{row['actual']}/") != (row["actual"] == row["predicted"]) for row in rows
        )
        assert [float(row["probability"]) for row in rows] == sorted(
            (float(row["probability"]) for row in rows), reverse=True
        )
        with pytest.raises(SystemExit, match="is a folder, only regular files can be replaced; name a file"):
            run("evaluate", weights[3], tmp_path / "images", "--mistakes", tmp_path, "--device", "cpu")

    @pytest.mark.parametrize(
        ("output", "words", "fault"),
        [
            ("mine.txt", (), "mine.txt: already exists; add --force to replace it, or choose another --mistakes"),
            ("3.safetensors", ("--force",), "3.safetensors: is the input; choose another --mistakes"),
            ("link", ("--force",), "link: is the input; choose another --mistakes"),
            ("i/cat/0.png", ("--force",), "i/cat/0.png: is an existing file of the input i; choose another --mistakes"),
            ("i", ("--force",), "i: is a folder, only regular files can be replaced; name a file"),
            ("mine.txt/x.csv", (), "mine.txt/x.csv: can't be written (Not a directory); move or remove what is at this path and run it again"),
        ],
    )  # fmt: skip
    def test_mistakes_replace_no_file_unless_forced_and_no_input(
        self, weights, judged, tmp_path, monkeypatch, output, words, fault
    ):
        monkeypatch.chdir(tmp_path)
        write_tree(tmp_path / "i", judged)
        (tmp_path / "3.safetensors").write_bytes(weights[3].read_bytes())
        (tmp_path / "link").symlink_to("3.safetensors")
        (tmp_path / "mine.txt").write_text("mine")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        monkeypatch.setattr(prediction.Classifier, "evaluate", None)  # the path is checked first
        with pytest.raises(SystemExit) as exit:
            run("evaluate", "3.safetensors", "i", "--mistakes", output, *words, "--device", "cpu")
        assert str(exit.value) == f"error: {fault}"
        assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def test_force_without_mistakes_is_an_error(self, weights, tmp_path):
        with pytest.raises(SystemExit, match=r"--force: requires --mistakes; add --mistakes FILE.csv, or omit --force"):
            run("evaluate", weights[3], tmp_path, "--force")

    def test_mistakes_replace_a_file_by_force(self, weights, judged, tmp_path, capsys):
        write_tree(tmp_path / "images", judged)
        (tmp_path / "x.csv").write_text("old")
        self.found(capsys, weights[3], tmp_path / "images", "--mistakes", tmp_path / "x.csv", "--force")
        assert (tmp_path / "x.csv").read_text().startswith("image,actual,predicted,probability\n")

    def test_mistakes_in_a_folder_that_is_not_writable_are_an_error_first(self, weights, judged, tmp_path, monkeypatch):
        write_tree(tmp_path / "images", judged)
        monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
        with pytest.raises(SystemExit, match=r"x.csv: can't be written .Permission denied.; make its folder writable"):
            run("evaluate", weights[3], tmp_path / "images", "--mistakes", tmp_path / "x.csv", "--device", "cpu")

    def test_evaluate_takes_one_part_and_names_it(self, weights, judged, tmp_path, capsys):
        for part, first in (("train", 0), ("valid", 5), ("test", 20)):
            write_tree(tmp_path / part, dict(list(judged.items())[first:]))
        for words, part, images in (
            ((), "test", 20),
            (("--part", "valid"), "valid", 35),
            (("--part", "train"), "train", 40),
        ):
            found = self.found(capsys, weights[3], tmp_path, *words)
            assert (found["part"], found["images"]) == (part, images)
            run("evaluate", weights[3], tmp_path, *words, "--device", "cpu")
            assert capsys.readouterr().out.startswith(
                f"{images} images of {part}/, accuracy in percent, computed in float32; "
            )

    @pytest.mark.parametrize(("parts", "words", "fault"), [
        (["train", "val"], [], "has train/ and val/ but no test/, the default part; put images that the network was not trained on into test/<class>/, or add --part val to use those of val/"),
        (["train"], [], "has train/ but no test/, the default part; put images that the network was not trained on into test/<class>/, or add --part train to use those of train/"),
        (["train", "Test"], [], "has train/ but no test/, the default part; rename Test to test; put images that the network was not trained on into test/<class>/, or add --part train to use those of train/"),
        (["Training", "Testing"], [], "has Testing and Training, which resemble train and test; evaluate one of them, or rename them"),
        (["train", "test"], ["--part", "val"], "has no images in val/, only in test/ and train/; choose another --part"),
        ([""], ["--part", "test"], "has no images in test/; omit --part"),
        (["", "test"], [], "has images in test/ and elsewhere, such as cat/0.png; choose the part: --part test"),
    ])  # fmt: skip
    def test_a_part_that_is_not_clear_is_an_error(self, weights, judged, tmp_path, parts, words, fault):
        for part in parts:
            write_tree(tmp_path / part, judged)
        with pytest.raises(SystemExit) as exit:
            run("evaluate", weights[3], tmp_path, *words)
        assert str(exit.value) == f"error: {tmp_path}: {fault}"

    def test_a_file_that_an_archive_has_twice_is_an_error(self, weights, judged, tmp_path):
        path = archive(tmp_path / "x", judged | {"./cat/3.png": picture()}, "")
        with pytest.raises(SystemExit, match=r"x: cat/3\.png: occurs twice; keep one"):
            run("evaluate", weights[3], path)

    @pytest.mark.parametrize("inside", ["test", "train/2023"])
    def test_a_folder_in_a_class_may_be_named_as_a_part(self, weights, judged, tmp_path, capsys, inside):
        files = {name.replace("/", f"/{inside}/"): content for name, content in judged.items()}
        assert self.found(capsys, weights[3], write_tree(tmp_path, files))["images"] == 40

    @pytest.mark.parametrize("around", ["", "a/b/", "test/", "a/test/"])
    def test_images_lie_at_any_depth(self, weights, judged, tmp_path, capsys, around):
        deep = {f"{around}{name.replace('/', '/2023/06/')}": content for name, content in judged.items()}
        assert self.found(capsys, weights[3], write_tree(tmp_path, deep))["images"] == 40

    def test_folders_of_two_classes_are_an_error_unless_a_part_says_which_counts(
        self, weights, judged, tmp_path, capsys
    ):
        write_tree(tmp_path / "cat", judged)
        with pytest.raises(SystemExit) as exit:
            run("evaluate", weights[3], tmp_path)
        assert str(exit.value) == (
            f"error: {tmp_path}: cat/dog/0.png and 9 more images of its folder: inside folders of two classes; move the class "
            "folders into test/"
        )
        (tmp_path / "test").mkdir()
        (tmp_path / "cat").rename(tmp_path / "test/cat")
        assert [row["class"] for row in self.found(capsys, weights[3], tmp_path)["classes"]] == ["cat"]

    def test_evaluate_reports_skipped_files(self, weights, judged, tmp_path, capsys):
        write_tree(tmp_path, judged | {"labels.csv": b"x", "cat/.1.png": b"x"})
        run("evaluate", weights[3], tmp_path, "--device", "cpu")
        assert capsys.readouterr().err.splitlines() == [
            "skipped 1 file that is not an image: labels.csv",
            "skipped 1 hidden image, whose own or folder's name starts with a dot: cat/.1.png",
        ]

    def listed(self, path, judged):
        """The images in one folder, and a table of their classes and parts beside it."""
        files = {name.replace("/", "-"): content for name, content in judged.items()}
        rows = [f"{name},{name[:3]},{'train' if name.endswith('1.png') else 'test'}" for name in files]
        write_tree(path / "i", files)
        (path / "list.csv").write_text("\n".join(["photo,kind,split", *rows]))
        return ["--labels", path / "list.csv", "--file-column", "photo", "--label-column", "kind"]

    def test_evaluate_takes_classes_from_a_table(self, weights, judged, tmp_path, capsys):
        words = self.listed(tmp_path, judged)
        parts = self.found(capsys, weights[3], tmp_path / "i", *words)
        assert (parts["part"], parts["images"]) == ("test", 36)
        every = self.found(capsys, weights[3], tmp_path / "i", *words, "--split-column", "none")
        assert every["part"] is None
        assert [(row["class"], row["images"]) for row in every["classes"]] == [("cat", 30), ("dog", 10)]
        write_tree(tmp_path / "sorted", judged)
        assert every == self.found(capsys, weights[3], tmp_path / "sorted")

    def test_evaluate_finds_the_metadata_of_an_imagefolder(self, weights, judged, tmp_path, capsys):
        rows = [f"{name},{name[:3]}" for name in judged]
        files = {f"data/{name}": content for name, content in judged.items()}
        write_tree(tmp_path, files | {"data/metadata.csv": "\n".join(["file_name,label", *rows]).encode()})
        assert self.found(capsys, weights[3], tmp_path)["images"] == 40
        (tmp_path / "data/cat").rename(tmp_path / "data/a cat")
        rows = [row.replace("cat/", "a cat/", 1) for row in rows]
        (tmp_path / "data/metadata.csv").write_text("\n".join(["file_name,label", *rows]))
        assert self.found(capsys, weights[3], tmp_path)["images"] == 40

    def test_a_table_is_not_replaced(self, weights, judged, tmp_path):
        words = self.listed(tmp_path, judged)
        with pytest.raises(SystemExit, match=r"list.csv: is the input; choose another --mistakes"):
            run("evaluate", weights[3], tmp_path / "i", *words, "--mistakes", tmp_path / "list.csv", "--force")

    @pytest.mark.parametrize(
        ("words", "fault"),
        [
            (["--label-column", "x"], "--label-column: requires --labels; add --labels FILE.csv, or omit it"),
            (["--labels", "l.csv", "--file-column", ""], "--file-column: empty name; write the name of a column"),
        ],
    )
    def test_columns_without_a_table_or_a_name_are_an_error(self, weights, tmp_path, words, fault):
        with pytest.raises(SystemExit) as exit:
            run("evaluate", weights[3], tmp_path, *words)
        assert str(exit.value) == f"error: {fault}"

    def test_an_unknown_column_is_an_error_of_any_length(self, weights, judged, tmp_path):
        words = self.listed(tmp_path, judged)
        with pytest.raises(SystemExit, match=r"list.csv: column of classes: --label-column=x+ ?.*photo, kind, split"):
            run("evaluate", weights[3], tmp_path / "i", *words, "--label-column", "x" * 500)

    def test_evaluate_prints_tables(self, weights, judged, tmp_path, capsys):
        write_tree(tmp_path, judged)
        run("evaluate", weights[3], tmp_path, "--device", "cpu")
        out = capsys.readouterr().out
        assert "40 images, accuracy in percent, computed in float32; balanced top-1 " in out
        assert all(word in out for word in ("top-3", "95 % interval", "recall (%)"))

    def test_evaluate_reports_every_fault(self, weights, tmp_path):
        write_tree(tmp_path, {"cat/x.png": b"no", "emu/1.png": picture(), "cat/x.gif": b"", "2.png": picture()})
        with pytest.raises(SystemExit) as exit:
            run("evaluate", weights[3], tmp_path)
        told = str(exit.value)
        assert told.count("error: ") == 4
        assert "cat/x.png: can't be read as an image (unknown format; supported: JPEG" in told
        assert (
            "emu/1.png: not in a folder of the network's classes (cat, dog, a, <b>); move or remove it, or rename its folder"
            in told
        )
        assert "cat/x.gif: can't be read as an image" in told
        assert "2.png: not in a folder of the network's classes" in told

    def test_evaluating_a_folder_without_images_is_an_error(self, weights, tmp_path):
        with pytest.raises(SystemExit, match="no images found in <class>/ or test/<class>/"):
            run("evaluate", weights[3], tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_list_is_warned_of(weights, content):
    done = subprocess.run(
        [sys.executable, "-c", "from deepen.cli import main; main()", "predict", str(weights[3]), "-"],
        input=content, capture_output=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"warning: no file names on standard input\n"


def test_a_list_may_have_windows_line_ends(weights, tmp_path):
    (tmp_path / "x.png").write_bytes(picture())
    done = subprocess.run(
        [sys.executable, "-c", "from deepen.cli import main; main()", "predict", str(weights[3]), "--json", "-"],
        input=f"{tmp_path}/x.png\r\n".encode(), capture_output=True,
    )  # fmt: skip
    assert json.loads(done.stdout)[0]["image"] == f"{tmp_path}/x.png"


def test_a_text_in_an_array_is_no_image_and_bytes_in_any_form_are(weights):
    network = deepen.load(weights[3], "cpu")
    with pytest.raises(InputError, match=r"^images: an array of <U5"):
        network.predict(np.array("a.png"))
    assert network.predict(bytearray(picture())).shape == network.predict(memoryview(picture())).shape == (1, 3)


def test_the_chosen_gpu_is_current_while_it_predicts_and_evaluates(weights, monkeypatch, rng):
    """And only then: the caller may use another one."""
    inside, seen = [], []

    @contextmanager
    def use(device):
        inside.append(device)
        yield
        inside.pop()

    def spy(function):
        def call(*args, **options):
            seen.append(list(inside))
            return function(*args, **options)

        return call

    monkeypatch.setattr(prediction, "use_device", use)
    for name in ("infer", "evaluate"):
        monkeypatch.setattr(prediction, name, spy(getattr(prediction, name)))
    network = deepen.load(weights[3], device="cpu")
    network.predict(rng.integers(0, 256, (8, 8, 3), np.uint8))
    network.evaluate(ImageSet(rng.integers(0, 256, (2, 3, 8, 8), np.uint8), np.zeros(2, np.int64), network.classes))
    assert seen == [[torch.device("cpu")]] * 2
    assert not inside
