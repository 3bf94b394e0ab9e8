"""Saliency maps: what they are of networks whose answer is known, which images have one, and what the page says."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_colored
from made_up_ladders import branches, ladder
from test_page import CONTRASTS, Read, chromium, names, needs_browser, shown  # noqa: F401
from torch import nn

import deepen
from deepen.core.errors import InputError
from deepen.data.images import load_images
from deepen.growth.initialization import draw_he_weights
from deepen.models.layers import plan
from deepen.models.vgg import build_network
from deepen.models.weights import ModelCard, save_weights
from deepen.records.ladder import LadderResults
from deepen.report import figures, page
from deepen.runtime import reproducible
from deepen.runtime.device import move_to_device
from deepen.saliency.choice import choose_rows
from deepen.saliency.tiles import join_tiles, shade
from pipeline import check as check_stage

with_captum = pytest.mark.usefixtures("captum")


@pytest.fixture
def captum():
    pytest.importorskip("captum")


def maps_of(network, images, mean=None):
    from deepen.saliency.maps import compute_maps

    pixels = torch.from_numpy(np.ascontiguousarray(images))
    return compute_maps(network, pixels, torch.zeros(images.shape[1]) if mean is None else torch.tensor(mean))


def random_network(text, image, norm="none", seed=0):
    layers = plan(text, width=1.0, image=image, classes=3, norm=norm)
    state = draw_he_weights(layers, seed=seed, model="I")
    return build_network(layers, state).eval()


class TestChoice:
    def test_each_class_has_the_same_number_and_the_first_images(self):
        labels = np.array([2, 0, 0, 1, 2, 1, 0, 1, 2])
        assert choose_rows(labels, 3).tolist() == [1, 3, 0]
        assert choose_rows(labels, 6).tolist() == [1, 2, 3, 5, 0, 4]

    def test_a_remainder_is_from_classes_at_even_distances(self):
        labels = np.tile(np.arange(10), 2)
        assert labels[choose_rows(labels, 4)].tolist() == [0, 2, 5, 7]
        assert np.bincount(labels[choose_rows(labels, 12)]).tolist() == [2, 1, 1, 1, 1, 2, 1, 1, 1, 1]

    def test_classes_with_few_images_leave_their_places_to_others(self):
        assert choose_rows(np.array([0, 0, 0, 5]), 3).tolist() == [0, 1, 3]
        assert choose_rows(np.array([0, 0, 0, 5]), 100).tolist() == [0, 1, 2, 3]
        assert choose_rows(np.array([], np.int64), 3).tolist() == choose_rows(np.array([1]), 0).tolist() == []


@with_captum
class TestMaps:
    def test_the_map_of_a_linear_network_is_the_largest_weight_of_each_pixel(self, rng):
        linear = nn.Linear(2 * 4 * 5, 3)
        maps, predicted = maps_of(nn.Sequential(nn.Flatten(), linear), rng.integers(0, 256, (6, 2, 4, 5), np.uint8))
        weight = linear.weight.detach().view(3, 2, 4, 5).abs().amax(1).numpy()
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, weight[predicted], rtol=1e-5)

    def test_the_predicted_class_is_that_of_the_network(self, colored):
        network = random_network("conv3-8 maxpool fc-16", (3, 8, 8))
        _, predicted = maps_of(network, colored.images, [0.2, 0.3, 0.4])
        batch = deepen.normalize(torch.from_numpy(colored.images), torch.tensor([0.2, 0.3, 0.4]))
        assert predicted.tolist() == network(batch).argmax(1).tolist()

    @pytest.mark.parametrize(
        ("text", "norm"),
        [
            ("conv3-8 conv3-8 maxpool fc-16", "none"),
            ("conv3-8*2 maxpool conv3-8 fc-16", "batch"),
            ("whiten2-8 conv3-8 maxpool fc-16", "none"),
        ],
    )
    @pytest.mark.parametrize("channels", [1, 3])
    def test_each_kind_of_layer_has_maps_also_channels_last(self, rng, text, norm, channels):
        network = random_network(text, (channels, 8, 8), norm)
        images = rng.integers(0, 256, (3, channels, 8, 8), np.uint8)
        maps, predicted = maps_of(network, images)
        assert maps.shape == (3, 8, 8)
        assert np.isfinite(maps).all()
        assert (maps.max((1, 2)) > 0).all()
        again, same = maps_of(move_to_device(network, torch.device("cpu")), images)
        assert same.tolist() == predicted.tolist()
        np.testing.assert_allclose(again, maps, rtol=1e-3, atol=1e-5 * maps.max())

    def test_equal_images_have_equal_bytes_beside_any_others_and_random_numbers_go_on(self, colored):
        network = random_network("conv3-8 maxpool fc-16", (3, 8, 8))
        torch.manual_seed(1)
        maps, _ = maps_of(network, colored.images[:4])
        drawn = torch.rand(3)
        alone, _ = maps_of(network, colored.images[2:3])
        assert alone[0].tobytes() == maps[2].tobytes()
        torch.manual_seed(1)
        assert torch.equal(torch.rand(3), drawn)

    def test_images_without_contrast_and_dead_networks_have_maps(self):
        network = random_network("conv3-8 maxpool fc-16", (3, 8, 8))
        flat = np.full((1, 3, 8, 8), 77, np.uint8)
        assert np.isfinite(maps_of(network, flat)[0]).all()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        maps, predicted = maps_of(network, flat)
        assert not maps.any()
        assert predicted.tolist() == [0]
        assert not shade(maps).any()
        assert maps_of(network, flat[:0])[0].shape == (0, 8, 8)

    def test_a_trained_network_looks_where_the_classes_differ_and_a_random_one_does_not(self, rng):
        """The test of arXiv 1810.03292: with other weights the map is another one."""

        def draw(count):
            """Noise with three squares in the upper left; the white one tells the class."""
            images, labels = rng.integers(0, 256, (count, 1, 12, 12), np.uint8), torch.arange(count) % 3
            images[:, :, 1:3, 1:7] = 0
            for image, label in zip(images[:, 0], labels, strict=True):
                image[1:3, 1 + 2 * label : 3 + 2 * label] = 255
            return images, labels

        network = random_network("conv3-8 maxpool fc-16", (1, 12, 12))
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        images, labels = draw(12)
        untrained, _ = maps_of(network, images, [0.5])
        for _ in range(100):
            seen, right = draw(60)
            logits = network(deepen.normalize(torch.from_numpy(seen), torch.tensor([0.5])))
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, right).backward()
            optimizer.step()
        trained, predicted = maps_of(network, images, [0.5])
        assert predicted.tolist() == labels.tolist()
        there, chance = (maps[:, 1:3, 1:7].sum() / maps.sum() for maps in (trained, untrained))
        assert there > 0.3 > 0.2 > chance  # 12 of 144 pixels
        pairs = zip(trained, untrained, strict=True)
        assert np.mean([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in pairs]) < 0.5

    @pytest.mark.cuda
    def test_a_gpu_gives_the_maps_of_the_cpu_and_equal_bytes_each_time(self, colored):
        network = random_network("conv3-8 maxpool fc-16", (3, 8, 8))
        expected, _ = maps_of(network, colored.images[:3])
        from deepen.saliency.maps import compute_maps

        device = torch.device("cuda")
        arguments = (
            move_to_device(network, device),
            torch.from_numpy(colored.images[:3]).to(device),
            torch.zeros(3, device=device),
        )
        (one, _), (two, _) = compute_maps(*arguments), compute_maps(*arguments)
        assert one.tobytes() == two.tobytes()
        assert np.corrcoef(one.ravel(), expected.ravel())[0, 1] > 0.8  # the noise is another one


def test_the_gpu_of_apple_is_seeded_and_continues_too(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "before")
    monkeypatch.setattr(torch.mps, "manual_seed", calls.append)
    monkeypatch.setattr(torch.mps, "set_rng_state", calls.append)
    with reproducible.compute_reproducibly(torch.device("mps"), 8):
        assert calls == [8]
        assert torch.backends.cudnn.deterministic
    assert calls == [8, "before"]
    assert not torch.backends.cudnn.deterministic


def test_each_map_has_its_own_shades():
    maps = np.stack([np.arange(200.0).reshape(10, 20), np.arange(200.0).reshape(10, 20) / 1000]).astype(np.float32)
    shades = shade(maps)
    assert shades.dtype == np.uint8
    assert np.array_equal(shades[0], shades[1])
    assert (shades[0].min(), shades[0].max(), (shades[0] == 255).sum()) == (
        0,
        255,
        3,
    )  # 1 percent of 200, by half a shade


class TestInPython:
    @pytest.fixture
    def weights(self, tmp_path):
        card = ModelCard(
            model="I", layers="conv3-8 maxpool fc-16", width=1.0, image=(3, 8, 8), stored=(10, 12),
            classes=("a", "b", "c"), mean=(0.5, 0.5, 0.5), flip=False,
        )  # fmt: skip
        save_weights(tmp_path / "I.safetensors", draw_he_weights(card.plan(), seed=0, model="I"), card)
        return tmp_path / "I.safetensors"

    @with_captum
    def test_maps_are_of_the_centre_that_the_network_sees(self, weights, rng):
        images = rng.integers(0, 256, (2, 10, 12, 3), np.uint8)
        maps, classes = deepen.compute_saliency(str(weights), images, device="cpu")
        assert (maps.shape, maps.dtype, classes.dtype) == ((2, 8, 8), np.float32, np.int64)
        expected, _ = maps_of(
            move_to_device(deepen.load_network(weights)[1], torch.device("cpu")),
            images.transpose(0, 3, 1, 2)[:, :, 1:9, 2:10],
            [0.5] * 3,
        )
        assert np.array_equal(maps, expected)
        probabilities = deepen.load(weights, device="cpu").predict(images)
        assert classes.tolist() == probabilities.argmax(1).tolist()

    @with_captum
    def test_it_works_in_inference_mode_and_for_no_images(self, weights):
        with torch.inference_mode():
            maps, classes = deepen.compute_saliency(weights, np.zeros((10, 12, 3), np.uint8))
        assert (maps.shape, classes.shape) == ((1, 8, 8), (1,))
        assert deepen.compute_saliency(weights, [])[0].shape == (0, 8, 8)

    @with_captum
    def test_every_image_that_can_t_be_read_is_listed(self, weights, tmp_path):
        (tmp_path / "b.png").write_bytes(b"no image")
        with pytest.raises(InputError) as error:
            deepen.compute_saliency(weights, [tmp_path / "a.png", tmp_path / "b.png"])
        assert [re.search(r"[ab]\.png", fault)[0] for fault in error.value.faults] == ["a.png", "b.png"]

    @with_captum
    def test_a_warning_names_the_caller(self, weights):
        sixteen = np.arange(120, dtype=np.uint16).reshape(10, 12)
        from PIL import Image

        with pytest.warns(UserWarning, match=r"images\[0\]") as warned:
            deepen.compute_saliency(weights, Image.fromarray(sixteen))
        assert warned[0].filename == __file__

    def test_without_captum_it_says_what_to_install(self, weights, monkeypatch):
        monkeypatch.setattr("deepen.core.packages.find_spec", lambda name: None)
        with pytest.raises(InputError) as error:
            deepen.compute_saliency(weights, [])
        assert str(error.value) == (
            "compute_saliency needs the Python package captum, which is not installed; in Deepen's folder, run "
            "python -m pip install --editable '.[saliency]'"
        )


def test_without_captum_the_check_fails_before_anything_trains(tmp_path, monkeypatch):
    settings = check_stage.load_settings()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deepen.core.packages.find_spec", lambda name: None)
    monkeypatch.setattr(check_stage, "load_settings", lambda: settings.model_copy(update={"saliency": 8}))
    with pytest.raises(InputError) as error:
        check_stage.check()
    assert str(error.value) == (
        "params.yaml: saliency: 8 needs the Python package captum, which is not installed; in Deepen's folder, run "
        "python -m pip install --editable '.[saliency]', or write saliency: 0"
    )
    monkeypatch.setattr(check_stage, "load_settings", lambda: settings)
    with pytest.raises(InputError, match=r"data/train\.safetensors"):  # Captum is not needed
        check_stage.check()


def test_the_first_model_is_the_root_of_the_branch():
    records, _ = branches()
    assert LadderResults("III", records, []).first.model == "I"
    assert LadderResults("III", ladder()[0], []).first.model == "I"
    assert LadderResults("I", ladder(1)[0], []).first.model == "I"


def rendered(models=3, image=(3, 8, 8), count=4, classes=None):
    """The page of a made-up ladder with maps, of which those of the first model predict the next class."""
    records, said = ladder(models, 3, image)
    named = (classes or names(3))[:3]
    images = replace(make_colored(np.random.default_rng(0), 60), classes=named)
    sample = images.select(np.arange(0, 60, 15)[:count])
    pixels = np.random.default_rng(1).integers(0, 256, (count, *image), np.uint8)
    maps = np.random.default_rng(2).random((count, *image[1:]), np.float32)
    answers = [(maps, (sample.labels + 1) % 3), (maps, sample.labels)][: min(models, 2)]
    tiles = sample if not count else join_tiles(pixels, sample, [f"test image {i}" for i in range(count)], answers)
    mistakes = images.select(np.arange(0))
    mistakes = replace(mistakes, stored=np.zeros((0, *image), np.uint8), rows=None)
    png = figures.draw_filters(np.arange(54.0).reshape(2, 3, 3, 3))
    results = LadderResults(records[-1].model, records, [])
    pictures = page.Pictures(png, "conv1_1", png, png, tiles)
    return page.render(results, named, mistakes, replace(said, files=[]), pictures)


class TestPage:
    def test_a_row_has_the_image_and_the_maps_of_the_first_and_the_last_model(self):
        text = rendered()
        read = Read(text)
        assert read.open == []
        alternatives = [image["alt"] for image in read.every("img")]
        assert alternatives[:3] == [
            "test image 0, of class 0",
            "Saliency map of I for test image 0, which it predicts as class 1",
            "Saliency map of III for test image 0, which it predicts as class 0",
        ]
        assert "Saliency: what I and III look at" in read.texts
        assert text.count(", wrong</div>") == 4
        assert 'href="#saliency"' in text

    def test_a_single_model_has_one_map(self):
        read = Read(rendered(1))
        assert "Saliency: what I looks at" in read.texts
        assert [image["alt"].split(" for")[0] for image in read.every("img")[:4]] == ["test image 0, of class 0", "Saliency map of I", "test image 1, of class 0", "Saliency map of I"]  # fmt: skip

    def test_without_maps_there_is_no_section(self):
        assert "saliency" not in re.sub(r"<style>.*?</style>", "", rendered(count=0), flags=re.DOTALL)

    def test_the_caption_says_what_a_map_can_not_tell(self):
        words = " ".join(" ".join(Read(rendered()).texts).split())
        assert "whatever the models predict" in words
        assert "a plausible map is no evidence" in words
        assert "https://arxiv.org/abs/1810.03292" in [link["href"] for link in Read(rendered()).every("a")]

    @needs_browser
    @pytest.mark.slow
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [400, 1400])
    @pytest.mark.parametrize(("models", "image"), [(3, (1, 8, 8)), (2, (3, 64, 64)), (1, (3, 100, 80))])
    def test_maps_fit_and_are_large_enough_to_read(self, shown, width, scheme, models, image):  # noqa: F811
        tab = shown(rendered(models, image, classes=("x" * 200, "<b>y</b>", "z")), width, color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [each.bounding_box() for each in tab.locator("#saliency img").all()]
        assert len(boxes) == 4 * (1 + min(models, 2))
        assert all(box["width"] >= 100 for box in boxes)
        assert all(abs(box["height"] / box["width"] - image[1] / image[2]) < 0.05 for box in boxes)
        assert [pair for pair in tab.evaluate(CONTRASTS) if pair[0] < 4.5] == []


@with_captum
def test_switching_it_on_runs_no_training_and_another_depth_has_its_own_maps(project):
    before = project.files()
    project.edit("params.yaml", ("saliency: 0 ", "saliency: 5 "))
    assert project.ran("dvc repro") == ["check", "saliency", "report"]
    after = project.files()
    assert {name for name in after if after[name] != before[name]} == {
        "reports/saliency.safetensors",
        "reports/index.html",
    }
    tiles = load_images(project.path / "reports/saliency.safetensors")
    assert (len(tiles), tiles.files[0] == tiles.files[2]) == (15, True)
    assert tiles.labels[::3].tolist() == [0, 2, 4, 6, 8]
    assert "what I and III look at" in project.read("reports/index.html")
    project.edit("params.yaml", ("depth: III ", "depth: I   "))
    assert project.ran("dvc repro report") == ["check", "saliency", "report"]
    assert len(load_images(project.path / "reports/saliency.safetensors")) == 10
    assert "what I looks at" in project.read("reports/index.html")
    assert project.read("metrics/final.json") == project.read("metrics/I.json")
