import contextlib
import copy
import time
from pathlib import Path

import pytest
import yaml_text
from hypothesis import given
from hypothesis import strategies as st

from deepen.config.settings import check_settings, load_settings
from deepen.core.errors import InputError
from deepen.growth.ladder import estimate_remaining_work, plan_ladder
from deepen.models.layers import count_training_flops

PARAMS = Path(__file__).parents[1] / "params.yaml"
GOOD = yaml_text.load(PARAMS.read_text())
GONE = object()


def changed(**changes):
    """What params.yaml holds with changes by path, for example models__II__epochs=4."""
    content = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = content
        for key in parents:
            node = node[key]
        if value is GONE:
            del node[last]
        else:
            node[last] = value
    return content


def faults(**changes):
    with pytest.raises(InputError) as error:
        check_settings(changed(**changes))
    return list(error.value.faults)


def test_the_project_s_own_params_are_good():
    settings = load_settings(PARAMS)
    assert list(GOOD)[:8] == ["data", "depth", "lr", "recipe", "growth", "width", "seed", "precision"]
    assert settings.dataset.source == "digits"
    assert not settings.dataset.flip


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"lr": "1e-3"}, "lr: must be a number, got the string '1e-3'; write 1e-3"),
        ({"lr": "0.1"}, "lr: must be a number, got the string '0.1'; write 0.1"),
        ({"lr": "x"}, "lr: must be a number or auto, got the string 'x'; write for example lr: 0.01"),
        ({"lr": None}, "lr: must be a number or auto, got nothing; write for example lr: 0.01"),
        ({"lr": 0}, "lr: must be greater than or equal to 0.00000001, got 0; write for example lr: 0.01"),
        ({"seed": True}, "seed: must be a whole number, got the boolean True; write for example seed: 0"),
        ({"seed": GONE}, "seed: is missing; write for example seed: 0"),
        ({"models": GONE}, "models: is missing; see the comments there"),
        ({"width": None}, "width: must be a number or auto, got nothing; write for example width: 0.25"),
        ({"datasets__digits__width": GONE}, "datasets.digits.width: is missing; write for example width: 1.0"),
        ({"datasets__cifar10__width": "auto"}, "datasets.cifar10.width: must be a number, got the string 'auto'; write for example width: 1.0"),
        ({"recipes__onecycle__training__epochs": 12}, "recipes.onecycle.training.epochs: must be a list, got 12; write for example epochs: [3, 3, 12]"),
        ({"recipes__onecycle__training__epochs": []}, "recipes.onecycle.training.epochs: must have at least 1 item, got []; write"),
        ({"recipes__onecycle__training__epochs": [3, 0]}, "recipes.onecycle.training.epochs.1: must be greater than or equal to 1, got 0; see recipes"),
        ({"datasets__digits__least_images": GONE}, "datasets.digits.least_images: is missing; write for example least_images: 96000"),
        ({"width": float("nan")}, "width: must be a finite number, got nan; write for example width: 0.25"),
        ({"width": float("inf")}, "width: must be a finite number, got inf"),
        ({"val_fraction": 1}, "val_fraction: must be less than 1, got 1; write for example val_fraction: 0.1"),
        ({"device": "gpu"}, "device: must be one of auto, cpu, mps, cuda and cuda:<number>, got the string 'gpu'"),
        ({"growth": "Identity"}, "growth: must be 'identity', 'copy' or 'random', got the string 'Identity'"),
        ({"data": 3}, "data: must be a string, got 3; write for example data: digits"),
        ({"learning_rate": 1}, "learning_rate: unknown key; remove it"),
        ({"dept": "I"}, "dept: unknown key; did you mean depth?"),
        ({"models__I__lr": 1}, "models.I.lr: unknown key; remove it"),
        ({"models__I__depth": 1}, "models.I.depth: unknown key; remove it"),
        ({"recipes__onecycle__training__optimizer__momentun": 1}, "recipes.onecycle.training.optimizer.momentun: unknown key; did you mean momentum?"),
        ({"recipes__onecycle__training__optimizer__nesterof": True}, "recipes.onecycle.training.optimizer.nesterof: unknown key; remove it"),
        ({"recipes__published__training__optimizer__nesterof": True}, "recipes.published.training.optimizer.nesterof: unknown key; did you mean nesterov?"),
        ({"datasets__digits__crop": "wide"}, "datasets.digits.crop: must be a number, got the string 'wide'; write for example crop: 0.125"),
        ({"recipes__onecycle__training__crop": "wide"}, "recipes.onecycle.training.crop: must be true or false, got the string 'wide'; write for example crop: true"),
        ({"datasets__digits": 3}, "datasets.digits: must be a dictionary, got 3; see datasets there"),
        ({"datasets__digits__source": "mnist"}, "datasets.digits.source: must be one of 'digits', 'cifar10'"),
        ({"datasets__digits__source": GONE}, "datasets.digits.source: is missing; write for example source: folder"),
        ({"datasets__folder__size": "big"}, "datasets.folder.size: must be a number or auto, got the string 'big'"),
        ({"datasets__folder__size": 0}, "datasets.folder.size: must be greater than or equal to 1, got 0"),
        ({"datasets__folder__view": 0}, "datasets.folder.view: must be greater than or equal to 1, got 0; write for example view: 28"),
        ({"datasets__digits__view": GONE}, "datasets.digits.view: is missing; write for example view: 28"),
        ({"datasets__folder__size": 32, "datasets__folder__view": 33}, "datasets.folder.view: 33 is larger than the images, size: 32; write at most view: 32"),
        ({"recipes__published__training__scale_jitter": 0.5}, "recipes.published.training.scale_jitter: must be greater than or equal to 1, got 0.5"),
        ({"recipes__published__evaluation__views": "all"}, "evaluation.views: must be 'centre', 'shifts', 'crops' or 'dense', got the string 'all'"),
        ({"recipes__onecycle__training__class_weights": "even"}, "recipes.onecycle.training.class_weights: must be 'none' or 'balanced', got the string 'even'"),
        ({"recipes__onecycle__training__patience": "off"}, "training.patience: must be a number or none, got the string 'off'; write for example patience: 10"),
        ({"recipes__onecycle__training__patience": None}, "training.patience: must be a number or none, got nothing; write for example patience: 10"),
        ({"recipes__onecycle__training__patience": 0}, "training.patience: must be greater than or equal to 1, got 0; write for example patience: 10"),
        ({"recipes__onecycle__training__patience": 2.5}, "training.patience: must be a whole number, got 2.5; write for example patience: 10"),
        ({"recipes__onecycle__training__patience": "5"}, "training.patience: must be a number, got the string '5'; write 5"),
        ({"recipes__onecycle__training__patience": GONE}, "training.patience: is missing; write for example patience: 10"),
        ({"recipes__onecycle__training__class_weights": GONE}, "training.class_weights: is missing; write for example class_weights: balanced"),
        ({"recipes__onecycle__training__schedule": {"name": "cosine"}}, "training.schedule.name: must be one of 'onecycle'"),
        ({"recipes__onecycle__training__optimizer": {"name": "adam"}}, "training.optimizer.name: must be one of 'muon', 'sgd', got the string 'adam'"),
        (
            {"recipes__onecycle__training__optimizer": {"name": "sgd", "momentum": 0, "nesterov": True, "weight_decay": 0}},
            "recipes.onecycle.training.optimizer.nesterov: needs momentum above 0; write for example nesterov: false",
        ),
        ({"precision": "half"}, "precision: must be 'auto', 'float32' or 'bfloat16', got the string 'half'"),
        ({"models__II__epochs": 4.0}, "models.II.epochs: must be a whole number, got 4.0; write for example epochs: 12"),
        ({"models__I__norm": "layer"}, "models.I.norm: must be 'none' or 'batch', got the string 'layer'"),
        ({"models__II__fresh": "fc2"}, "models.II.fresh: must be a list, got the string 'fc2'; write for example fresh: [fc2]"),
        ({"models__II__frozen": "conv1_1"}, "models.II.frozen: must be a list of layers, or copied, got the string 'conv1_1'; write for example frozen: copied"),
        ({"models__II__frozen": [1]}, "models.II.frozen.0: must be a string, got 1; see models.II.frozen there"),
        ({"models__I__frozen": "copied"}, "models.I.frozen: layers of I start random, and would stay so; remove frozen, or set start"),
        ({"data": "mnist"}, "data: unknown data set 'mnist'; use one of digits, cifar10, cifar100, fashion_mnist, folder"),
        ({"recipe": "best"}, "recipe: unknown recipe 'best'; use one of onecycle, published"),
        ({"depth": "V"}, "depth: unknown model 'V'; use one of I, II, III"),
        ({"models__II__after": "O"}, "models.II.after: unknown model 'O'; use scratch or one of I, II, III"),
        ({"models__I__after": "III"}, "models.I.after: circular dependency, I after III after II after I; write after: scratch for one"),
        ({"models__I__after": "I"}, "models.I.after: circular dependency, I after I; write after: scratch for one of them"),
        ({"models__II__after": "III", "models__III__after": "I"}, "models.II.after: II has 8 weight layers and 'III' 12"),
        ({"models__II__layers": GOOD["models"]["I"]["layers"]}, "name a shallower model"),
        ({"models__II__layers": "conv3- fc-9"}, 'models.II.layers[0]: "conv3-" has no channel count; write'),
        ({"width": 0.003}, f"width: 0.003 scales 128 channels in '{GOOD['models']['I']['layers']}' to none; use at least 0.007812"),
        ({"datasets__digits__width": 0.003}, f"datasets.digits.width: 0.003 scales 128 channels in '{GOOD['models']['I']['layers']}' to none; use at least 0.007812"),
        (
            {"models__I__start": "imports/x-01234567.safetensors"},
            f"width: auto uses datasets.digits.width: {GOOD['datasets']['digits']['width']}, but models.I.start is an "
            "imported network, whose width is fixed; write width: 1.0",
        ),
        ({"models__scratch": GOOD["models"]["I"]}, "models.scratch: reserved name (scratch, final"),
        ({"models__a/b": GOOD["models"]["I"]}, "models.'a/b': invalid model name; use 1 to 32 letters"),
        ({"models__iii": GOOD["models"]["III"]}, "models.iii: differs from models.III only in upper and lower case; rename one"),
    ],
)  # fmt: skip
def test_each_fault_names_path_rule_value_and_remedy(changes, fault):
    assert any(line.startswith("params.yaml: ") and fault in line for line in faults(**changes)), faults(**changes)


def test_every_fault_is_told_at_once():
    found = faults(lr="fast", data="mnist", models__II__layers="conv3-", models__III__epochs=0)
    assert [line.split(":")[1].strip() for line in found] == ["lr", "models.III.epochs", "data", "models.II.layers[0]"]


@pytest.mark.parametrize("content", [None, [], "data"])
def test_settings_that_are_not_a_mapping_are_an_error(content):
    with pytest.raises(InputError, match=r"params\.yaml: must be a mapping, got"):
        check_settings(content)


def test_settings_files_that_can_t_be_read_are_an_error(tmp_path):
    with pytest.raises(
        InputError, match=r"can't be read \(No such file or directory\); run from the folder that holds it"
    ):
        load_settings(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(InputError, match=r"params\.yaml: invalid YAML: line 1: .*; fix it"):
        load_settings(tmp_path / "params.yaml")


@pytest.mark.parametrize("written", ["1e-05", "1e-5", "0.00001", "1.0e-05"])
def test_numbers_as_dvc_and_people_write_them_are_numbers(tmp_path, written):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("lr: auto ", f"lr: {written} "))
    assert load_settings(tmp_path / "params.yaml").peak_lr("I") == 1e-5


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_byte_order_mark_change_no_setting(tmp_path, end):
    content = "\ufeff" + PARAMS.read_text().replace("\n", end)
    (tmp_path / "params.yaml").write_bytes(content.encode())
    assert load_settings(tmp_path / "params.yaml") == load_settings(PARAMS)


def test_a_typed_learning_rate_wins_over_the_recipe_s_and_grown_models_get_their_share():
    recipe = GOOD["recipes"]["onecycle"]["training"]
    assert check_settings(changed()).peak_lr("I") == recipe["lr"]
    typed = check_settings(changed(lr=0.01))
    assert typed.peak_lr("I") == 0.01
    assert typed.peak_lr("III") == pytest.approx(0.01 * recipe["grown_lr"])
    assert check_settings(changed(recipe="published")).peak_lr("III") == 0.01


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.just({"name": []}),
)


@given(st.data())
def test_whatever_stands_in_a_place_is_taken_or_told(data):
    content = copy.deepcopy(GOOD)
    node, places = content, [content]
    while isinstance(node, dict) and node and data.draw(st.booleans()):
        node = node[data.draw(st.sampled_from(sorted(node)))]
        places.append(node)
    place = data.draw(st.sampled_from([node for node in places if isinstance(node, dict)]))
    place[data.draw(st.sampled_from([*sorted(place), "new", 1]))] = data.draw(WRONG)
    with contextlib.suppress(InputError):
        assert check_settings(content).dataset


def test_settings_can_t_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        check_settings(changed()).seed = 1


class TestTheLadderAgainstTheImages:
    def told(self, image=(3, 32, 32), **changes):
        with pytest.raises(InputError) as error:
            plan_ladder(check_settings(changed(width=1.0, **changes)), image, 10)
        return list(error.value.faults)

    def test_a_valid_ladder_is_planned(self):
        assert list(plan_ladder(check_settings(changed()), (3, 32, 32), 10)) == ["I", "II", "III"]

    def test_networks_see_the_view_of_larger_images(self):
        settings = check_settings(changed(datasets__digits__view=24))
        assert settings.view_shape((3, 32, 40)) == (3, 24, 24)
        assert check_settings(changed()).view_shape((3, 32, 40)) == (3, 32, 40)
        with pytest.raises(InputError) as error:
            settings.view_shape((1, 40, 20))
        assert str(error.value) == (
            "params.yaml: datasets.digits: view: 24 is larger than the images, which are 40x20; "
            "write at most view: 20, or view: auto"
        )

    def test_images_too_small_are_told_for_every_model(self):
        found = self.told(image=(1, 6, 6))
        assert len(found) == 3
        assert found[0].startswith("params.yaml: models.I.layers: layer 6 of 'conv3-128 maxpool")

    def test_layers_that_don_t_fit_the_model_before_are_an_error(self):
        found = self.told(models__III__layers="conv3-128 maxpool conv5-256*2 maxpool conv3-512*6 maxpool fc-1024*2")
        assert found[0].startswith(
            "params.yaml: models.III: after II: conv2_1.weight has shape (256, 128, 5, 5), but conv2_1"
        )

    def test_a_layer_that_only_the_shallow_model_has_is_an_error(self):
        found = self.told(models__II__layers="conv3-128 maxpool conv3-256*4 maxpool fc-1024*3", models__III__after="I")
        assert any("source layer conv3_1 is neither copied nor dropped" in line for line in found)

    def test_mapping_exceptions_make_a_ladder_fit(self):
        layers = "conv3-128 maxpool conv3-256*2 maxpool conv3-512*2 maxpool fc-2048 fc-1024"
        found = self.told(models__II__layers=layers, models__III__after="I", growth="random")
        assert any("fc1.weight has shape" in line for line in found)
        exceptions = {"models__II__fresh": ["fc1", "head"], "models__II__dropped": ["fc1", "head"]}
        settings = changed(models__II__layers=layers, models__III__after="I", growth="random", **exceptions)
        assert plan_ladder(check_settings(settings), (3, 32, 32), 10)

    def test_an_impossible_identity_is_an_error(self):
        layers = "conv3-128 maxpool conv3-256 conv3-300 maxpool conv3-512 maxpool fc-1024"
        found = self.told(models__II__layers=layers, models__II__fresh=["conv3_1"], models__II__dropped=["conv3_1"])
        assert any(
            "models.II: after I: conv2_2 has 256 inputs and 300 outputs, growth: identity needs" in line
            for line in found
        )


BATCH_NORM = {f"models__{name}__norm": "batch" for name in ("I", "II", "III")}


def test_the_remaining_work_is_that_of_all_models_that_grow_from_one_in_its_multiples():
    settings = check_settings(changed(models__I__epochs=2, models__II__epochs=3, models__III__epochs=5))
    plans = plan_ladder(settings, (3, 32, 32), 10)
    first, second, third = (
        epochs * count_training_flops(plans[name]) for name, epochs in (("I", 2), ("II", 3), ("III", 5))
    )
    left = [estimate_remaining_work(settings, name, (3, 32, 32), 10, 50_000) for name in ("I", "II", "III")]
    assert left == pytest.approx([(second + third) / first, third / second, 0])


class TestBatchNormOfSingleValues:
    def told(self, image, batch, **changes):
        settings = check_settings(changed(width=1.0, recipes__onecycle__training__batch_size=batch, **changes))
        with pytest.raises(InputError) as error:
            plan_ladder(settings, image, 10)
        return list(error.value.faults)

    def test_batch_norm_of_single_values_is_an_error_before_training(self):
        layers = {f"models__{name}__layers": f"conv3-8*{depth}" for name, depth in (("I", 1), ("II", 2), ("III", 3))}
        assert self.told((1, 1, 1), 1, **BATCH_NORM, **layers)[0] == (
            "params.yaml: recipes.onecycle.training.batch_size: 1 leaves norm1_1 of I one value a channel, but "
            "batch normalization needs at least two; set batch_size: 2 or more, or models.I.norm: none"
        )

    @pytest.mark.parametrize(("image", "batch"), [((1, 8, 8), 1), ((1, 16, 16), 2)])
    def test_batch_norm_of_two_values_is_accepted(self, image, batch):
        settings = check_settings(changed(recipes__onecycle__training__batch_size=batch, **BATCH_NORM))
        assert plan_ladder(settings, image, 10)


class TestBounds:
    @pytest.mark.parametrize(
        ("path", "most"),
        [
            ("lr", 100), ("saliency", 100), ("checkpoint_seconds", 31_536_000), ("width", 64), ("datasets__digits__width", 64), ("threads", 1024), ("models__I__epochs", 100_000),
            ("datasets__digits__least_images", 10**12),
            ("recipes__onecycle__training__lr", 100), ("recipes__onecycle__training__grown_lr", 100),
            ("recipes__onecycle__training__patience", 100_000), ("recipes__onecycle__training__label_smoothing", 0.9), ("recipes__onecycle__training__dropout", 0.95), ("recipes__onecycle__training__skip_easy", 0.5),
            ("recipes__onecycle__training__color_shift", 10), ("recipes__onecycle__training__batch_size", 1_000_000),
            ("recipes__onecycle__training__optimizer__momentum", 0.999), ("recipes__onecycle__training__optimizer__weight_decay", 10),
            ("recipes__published__training__schedule__patience", 100_000), ("recipes__onecycle__evaluation__batch_size", 1_000_000),
            ("recipes__onecycle__training__scale_jitter", 16), ("datasets__digits__crop", 0.5), ("datasets__folder__size", 4096),
        ],
    )  # fmt: skip
    def test_each_number_has_a_bound(self, path, most):
        assert check_settings(changed(**{path: most}))
        above = most + 1 if isinstance(most, int) else most * 1.01
        assert f"{path.replace('__', '.')}: must be less than or equal to {most}, got" in faults(**{path: above})[0]

    @pytest.mark.parametrize("path", ["lr", "recipes__onecycle__training__lr"])
    def test_a_rate_that_is_zero_in_float32_is_an_error(self, path):
        assert check_settings(changed(**{path: 1e-8}))
        assert "must be greater than or equal to 0.00000001, got 1e-50" in faults(**{path: 1e-50})[0]

    def test_more_models_than_the_bound_are_an_error(self):
        model = {"after": "scratch", "layers": "conv3-128", "epochs": 1}
        thousand = {f"m{i}": model for i in range(1000)}
        assert len(check_settings(changed(models=thousand, depth="m0")).models) == 1000
        told = faults(models=thousand | {"more": model}, depth="m0")
        assert told[0].startswith("params.yaml: models: must have at most 1000 items, got {'m0': ")

    def test_a_long_ladder_is_checked_in_seconds(self):
        models = {
            f"m{i}": {"after": f"m{i - 1}" if i else "scratch", "layers": f"conv3-128*{i + 1}", "epochs": 1}
            for i in range(900)
        }
        start = time.monotonic()
        check_settings(changed(models=models, depth="m899"))
        models["m0"]["after"] = "m899"
        told = faults(models=models, depth="m899")
        assert time.monotonic() - start < 10
        assert len(told) == 900
        assert told[1].startswith(
            "params.yaml: models.m1.after: circular dependency, m1 after m0 after m899 after m898"
        )
        assert " after m892 and so on; write after: scratch" in told[1]

    def test_a_path_longer_than_the_bound_is_an_error(self):
        assert check_settings(changed(datasets__folder__root="/".join(["x" * 255] * 15)))
        assert "must have at most 4000 characters" in faults(datasets__folder__root="x/" * 2001)[0]
        assert "must have at most 255 bytes between two slashes" in faults(datasets__folder__root="x" * 256)[0]


class TestWhatCanTBePrinted:
    @pytest.mark.parametrize("path", ["data", "depth", "recipe", "device", "growth", "precision", "progress", "tracking", "datasets__digits__source", "datasets__folder__root", "models__II__after", "models__II__layers", "models__II__norm", "models__II__start", "recipes__onecycle__evaluation__views"])  # fmt: skip
    @pytest.mark.parametrize("value", ["\0", "a\nb", "\x1b[31m", "\ud800", "x" * 100_000, "\u202eabc"])
    def test_no_text_is_printed_as_it_is(self, path, value):
        if path == "datasets__folder__root" and value == "\u202eabc":
            return  # a folder may be called that
        for line in faults(**{path: value}):
            assert line.isprintable()
            assert len(line) <= 1000

    @pytest.mark.parametrize("path", ["{}", "datasets__{}", "recipes__{}", "models__{}", "models__I__{}"])
    @pytest.mark.parametrize("name", ["\0", "a\nb", "\x1b[31m", "x" * 100_000])
    def test_no_name_of_a_model_is_printed_as_it_is(self, path, name):
        for line in faults(**{path.format(name): 1}):
            assert line.isprintable()
            assert len(line) <= 1000


@pytest.mark.parametrize(("root", "found"), [("images", "/project/images"), ("/photos", "/photos"), ("~/photos", "/home/me/photos")])  # fmt: skip
def test_a_root_is_relative_to_the_project_absolute_or_in_a_home(monkeypatch, root, found):
    monkeypatch.setenv("HOME", "/home/me")
    dataset = check_settings(changed(datasets__folder__root=root)).datasets["folder"]
    assert dataset.path(Path("/project")) == Path(found)


def test_the_home_of_an_unknown_user_is_an_error():
    dataset = check_settings(changed(datasets__folder__root="~nobody-here/x")).datasets["folder"]
    with pytest.raises(InputError) as error:
        dataset.path(Path())
    assert str(error.value) == (
        "params.yaml: root: the string '~nobody-here/x' names an unknown user; write the absolute path"
    )


class TestAuto:
    """Width, batch and epochs that follow from the data set and from how many training images there are."""

    def test_the_width_is_the_data_set_s_unless_it_is_typed(self):
        assert check_settings(changed()).network_width == GOOD["datasets"]["digits"]["width"]
        assert check_settings(changed(data="cifar10")).network_width == 1.0
        assert check_settings(changed(data="cifar10", width=0.25)).network_width == 0.25

    def test_a_typed_width_may_be_that_of_an_imported_network(self):
        assert check_settings(changed(models__I__start="imports/x-01234567.safetensors", width=0.25))

    @pytest.mark.parametrize(
        ("images", "batch"), [(1, 1), (7, 7), (63, 8), (64, 16), (127, 16), (128, 32), (767, 32), (768, 64), (8191, 64), (8192, 128), (10**6, 128)]
    )  # fmt: skip
    def test_few_images_are_learned_from_in_small_batches(self, images, batch):
        assert check_settings(changed()).batch_size(images) == batch

    def test_a_typed_batch_is_taken_as_it_is(self):
        settings = check_settings(changed(recipes__onecycle__training__batch_size=100))
        assert [settings.batch_size(images) for images in (60, 200)] == [60, 100]

    def test_many_images_are_learned_from_as_often_as_the_recipe_says(self):
        deeper = GOOD["models"] | {"IV": GOOD["models"]["III"] | {"after": "III", "layers": "conv3-64*40"}}
        settings = check_settings(changed(models=deeper))
        assert [settings.epochs(model, 50_000) for model in deeper] == [3, 3, 12, 12]
        assert settings.steps("III", 50_000) == 12 * 390
        assert check_settings(changed(recipe="published")).epochs("III", 50_000) == 100

    @pytest.mark.parametrize(
        ("images", "epochs"), [(600, 100), (960, 100), (961, 100), (2000, 48), (4500, 22), (32_000, 3)]
    )
    def test_few_images_are_learned_from_more_often(self, images, epochs):
        assert check_settings(changed(data="folder")).epochs("I", images) == epochs
        assert check_settings(changed(data="folder", datasets__folder__least_images=3)).epochs("I", images) == 3

    @pytest.mark.parametrize("images", [32, 64, 100, 128, 500, 768, 1500])
    def test_no_more_than_100_epochs_see_least_images_and_they_are_200_steps(self, images):
        settings = check_settings(changed(data="folder"))
        assert settings.epochs("I", images) <= 100
        assert settings.steps("I", images) >= 200
        assert check_settings(changed(recipe="published")).epochs("III", images) == 100

    def test_typed_epochs_are_taken_as_they_are(self):
        settings = check_settings(changed(models__II__epochs=1))
        assert (settings.epochs("II", 160), settings.steps("II", 160)) == (1, 5)

    def test_a_model_in_between_changes_only_those_that_grow_from_it(self):
        branch = GOOD["models"] | {"J": GOOD["models"]["II"]}
        settings = check_settings(changed(models=branch))
        assert [settings.epochs(model, 50_000) for model in branch] == [3, 3, 12, 3]
        assert settings.ancestors("III") == ["I", "II"]

    def test_threads_depend_on_the_width_and_not_on_the_machine(self):
        assert [check_settings(changed(width=width)).cpu_threads for width in (0.12, 0.125, 1)] == [1, 2, 2]
        assert check_settings(changed(threads=4)).cpu_threads == 4
