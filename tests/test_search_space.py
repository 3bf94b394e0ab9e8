"""The ranges and lists of a search: what they mean, and the one error of each that is wrong."""

import re

import pytest
from test_settings import GOOD

from deepen.config.settings import Settings
from deepen.core.errors import InputError
from deepen.experiments.overrides import split_changes
from deepen.search.checks import _SEARCHED as SEARCHED
from deepen.search.checks import _find_name_faults, check_space
from deepen.search.definition import choose_name, make_definition, require_same
from deepen.search.space import Range, parse_space
from deepen.search.table import describe_space
from deepen.search.trainings import Images

TRAINING = "recipes.onecycle.training"
DIGITS = Images((1, 8, 8), 10, 809)


def parse(text, images=DIGITS):
    space = parse_space(GOOD, split_changes(text))
    check_space(GOOD, space, images)
    return space


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=0.003..0.1", Range(0.003, 0.1, log=True)),
        ("lr=0.01..0.05", Range(0.01, 0.05, log=False)),
        ("lr=0.01..0.05:log", Range(0.01, 0.05, log=True)),
        ("lr=0.003..0.1:linear", Range(0.003, 0.1, log=False)),
        ("lr=1e-4..1E-1", Range(1e-4, 0.1, log=True)),
        ("lr=.01...05", Range(0.01, 0.05, log=False)),
        ("lr=1..2", Range(1, 2, log=False)),
        (f"{TRAINING}.dropout=0..0.5", Range(0, 0.5, log=False)),
        ("models.I.epochs=3..12", Range(3, 12, log=False, whole=True)),
        ("models.I.epochs=3..120", Range(3, 120, log=True, whole=True)),
        (f"{TRAINING}.patience=1..9", Range(1, 9, log=False, whole=True)),
        ("lr=0.01,0.02", ("0.01", "0.02")),
        ("growth=identity,copy,random", ("'identity'", "'copy'", "'random'")),
        (f"{TRAINING}.epochs=[3,3,12],[60,60,60]", ("[3, 3, 12]", "[60, 60, 60]")),
        (f"{TRAINING}.crop=true,false", ("true", "false")),
        ("+models.III.frozen=copied,[conv1_1]", ("'copied'", "['conv1_1']")),
    ],
)
def test_a_range_or_list_is_what_it_says(text, expected):
    assert list(parse(text).varied.values()) == [expected]


def test_a_single_value_applies_to_all_trials_and_paths_may_have_dots():
    space = parse("depth=I lr=0.01..0.1 data=folder datasets.folder.root=../my photos/..2")
    assert list(space.varied) == ["lr"]
    assert space.make_changes({"lr": 0.02}) == [
        "lr=0.02",
        "depth=I",
        "data=folder",
        "datasets.folder.root='../my photos/..2'",
    ]


def test_values_are_rounded_and_stay_in_the_range():
    values = Range(0.00312345, 0.1, log=True)
    assert values.round(0.0123456) == 0.01235
    assert values.round(0.00312345) == 0.00312345
    assert Range(3, 12, log=False, whole=True).round(7) == 7


def test_a_finite_space_lists_all_combinations():
    space = parse("models.I.epochs=3..5 growth=identity,copy")
    combinations = list(space.iter_combinations())
    assert space.size == len(combinations) == 6
    assert combinations[0] == {"models.I.epochs": 3, "growth": "'identity'"}
    assert parse("lr=0.01..0.1 growth=identity,copy").size == float("inf")


def test_a_setting_of_a_recipe_that_another_searched_setting_chooses_has_an_effect():
    assert parse("recipe=onecycle,published recipes.published.training.lr=0.001..0.1")


def test_the_scale_of_each_range_is_told():
    assert describe_space(parse("lr=0.003..0.1 models.I.epochs=3..12 growth=identity,copy")) == [
        "lr: numbers from 0.003 to 0.1, log scale",
        "models.I.epochs: whole numbers from 3 to 12, linear scale",
        "growth: one of identity, copy",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no setting to search; give a range or a list, for example lr=0.003..0.1"),
        ("lr=0.01", "no setting to search; give a range or a list, for example lr=0.003..0.1"),
        ("lr=0.1..0.01", "lr=0.1..0.01: the first end must be less than the second; write lr=0.01..0.1"),
        ("lr=0.1..0.1", "lr=0.1..0.1: the first end must be less than the second; write for example lr=0.003..0.1"),
        ("lr=x..1", "lr=x..1: invalid range; write for example lr=0.003..0.1 or lr=0.003..0.1:linear"),
        ("lr=0.1..", "lr=0.1..: invalid range; write for example lr=0.003..0.1 or lr=0.003..0.1:linear"),
        ("lr=..0.1", "lr=..0.1: invalid range; write for example lr=0.003..0.1 or lr=0.003..0.1:linear"),
        ("lr=0.01..0.1,0.2", "lr=0.01..0.1,0.2: invalid range; write for example lr=0.003..0.1 or lr=0.003..0.1:linear"),
        ("lr=0.01..nan", "lr=0.01..nan: invalid range; write for example lr=0.003..0.1 or lr=0.003..0.1:linear"),
        ("lr=1..1e999", "lr=1..1e999: the ends of a range must be finite; write for example lr=0.003..0.1"),
        ("lr=0.01..0.1:quad", "lr=0.01..0.1:quad: unknown scale; write :log or :linear after the range, or nothing"),
        (f"{TRAINING}.dropout=0..0.5:log", f"{TRAINING}.dropout=0..0.5:log: a log scale needs ends above 0; write :linear, or a first end above 0"),
        ("lr=0.01..1e9", "lr=0.01..1e9: lr: must be less than or equal to 100, got 1000000000.0; write for example lr: 0.01"),
        ("lr=-1..1", "lr=-1..1: lr: must be greater than or equal to 0.00000001, got -1.0; write for example lr: 0.01"),
        ("models.I.epochs=3..5.5", "models.I.epochs=3..5.5: takes whole numbers only; write for example models.I.epochs=3..6"),
        ("lrr=0.1..1", "lrr: unknown setting; did you mean lr?"),
        ("lr=0.1,0.1", "lr=0.1,0.1: has a value twice; list each once"),
        ("lr=0.1..1 lr=0.01..0.1", "lr: is given twice; give it once"),
        ("growth=identity,copied", "growth=identity,copied: growth: must be 'identity', 'copy' or 'random', got the string 'copied'; did you mean copy?"),
        ("seed=0..5", "seed: a search would find the luckiest seed, not a better network; search another setting"),
        ("val_fraction=0.1..0.3", "val_fraction: changes the validation images, so trials can't be compared; search another setting"),
        ("data=digits,cifar10", "data: changes the validation images, so trials can't be compared; search another setting"),
        ("datasets.cifar10.root=a,b", "datasets.cifar10.root: changes the validation images, so trials can't be compared; search another setting"),
        ("recipes.onecycle.evaluation.views=centre,crops", "recipes.onecycle.evaluation.views: affects only the test, not validation accuracy; search a setting of training"),
        ("progress=quiet,normal", "progress: changes no result of a training; leave it out"),
        ("threads=1..4", "threads: changes speed and rounding, not what is learned; give one value, or leave it out"),
        ("device=cpu,cuda", "device: changes speed and rounding, not what is learned; give one value, or leave it out"),
        ("precision=float32,bfloat16", "precision: changes speed and rounding, not what is learned; give one value, or leave it out"),
        ("depth=I,III", "depth: only chooses the model that is compared; give one, as in depth=III, and see deepen results for all"),
        ("datasets.folder.size=32,64", "datasets.folder.size: changes the validation images, so trials can't be compared; search another setting"),
        ("datasets.folder.columns.label=a,b", "datasets.folder.columns.label: changes the validation images, so trials can't be compared; search another setting"),
        ("lr=0..0.1", "lr=0..0.1: lr: must be greater than or equal to 0.00000001, got 0.0; write for example lr: 0.01"),
        ("lr=", "lr=: lr: must be a number or auto, got the string ''; write for example lr: 0.01"),
        ("models.III.frozen=copied,[conv1_1]", "models.III.frozen: not in params.yaml yet; write +models.III.frozen=... to add it"),
        ("recipes.published.training.lr=0.01..0.1", "recipes.published.training.lr: does not change the training of III with these settings; leave it out"),
        ("depth=I models.II.epochs=3..9", "models.II.epochs: does not change the training of I with these settings; leave it out"),
        (f"lr=0.01 {TRAINING}.lr=0.01..0.1", f"{TRAINING}.lr: lr in params.yaml replaces it; add lr=auto"),
        ("width=0.1 datasets.digits.width=0.1..0.2", "datasets.digits.width: width in params.yaml replaces it; add width=auto"),
    ],
)  # fmt: skip
def test_each_bad_range_is_one_error(text, fault):
    with pytest.raises(InputError) as error:
        parse(text)
    assert list(error.value.faults) == [fault]


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name not in SEARCHED])
def test_a_setting_that_no_network_learns_from_is_not_searched(name):
    faults = list(_find_name_faults(name))
    assert len(faults) == 1
    assert faults[0].startswith(f"{name}: ")


GROWTH = "it acts only on new layers of models that grow from another, and copy only between equal shapes"
EPOCHS = "it acts only where models have epochs: auto, and if least_images gives fewer"
LEAST = "it acts only where epochs are auto, and if it gives more of them than the recipe"
FEW = "datasets.digits.least_images=1"
PLATEAU = "recipe=published recipes.published.training.schedule"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("depth=I growth=identity,copy", GROWTH),
        ("depth=II growth=copy,random", GROWTH),  # no new layer of II has the shape of the one before it
        (f"depth=I {TRAINING}.grown_lr=0.1..1", "it acts only on models that grow from another or start from a file"),
        ("datasets.digits.least_images=1000..40000 models.I.epochs=2 models.II.epochs=2 models.III.epochs=2", LEAST),
        ("datasets.digits.least_images=1..2000", LEAST),  # the recipe has as many epochs
        (f"depth=I {FEW} models.I.epochs=4 {TRAINING}.epochs=[1,2,3],[2,2,2]", EPOCHS),
        (f"depth=II {FEW} {TRAINING}.epochs=[1,2,3],[1,2,9]", EPOCHS),
        (f"{TRAINING}.epochs=[1,2,3],[2,2,2]", EPOCHS),  # least_images gives 50
        ("depth=II models.III.layers='{0}*6 maxpool fc-1024*2','{0}*7 maxpool fc-1024*2'".format("conv3-128 maxpool conv3-256*2 maxpool conv3-512"), ""),
        (f"depth=I models.I.layers='conv3-128 maxpool' models.II.after=scratch {TRAINING}.dropout=0..0.5", "it acts only after fc layers"),
        (f"{TRAINING}.batch_size=2000..4000", ""),  # of 809 images
        ("datasets.digits.crop=0.1..0.13", ""),  # of 8 pixels, one
        (f"{TRAINING}.crop=false datasets.digits.crop=0..0.2", ""),
        (f"depth=I models.I.epochs=5 {PLATEAU}.factor=0.1..0.5", ""),
        (f"depth=I models.I.epochs=5 {PLATEAU}.patience=5..9", ""),
        (f"depth=I models.I.epochs=5 {TRAINING}.patience=5..9", ""),
        (f"depth=I models.I.epochs=1 {TRAINING}.skip_easy=0.1..0.5", ""),
    ],
)  # fmt: skip
def test_a_setting_that_changes_no_training_is_one_error(text, why):
    with pytest.raises(InputError) as error:
        parse(text)
    (fault,) = error.value.faults
    assert re.match(r"\S+: does not change the training of I+ with these settings", fault)
    assert fault.endswith(f"with these settings{f', as {why}' * bool(why)}; leave it out")


@pytest.mark.parametrize(
    "text",
    [
        "depth=II growth=identity,copy",
        f"depth=II {TRAINING}.grown_lr=0.1..1",
        "datasets.digits.least_images=1000..40000",
        "datasets.digits.least_images=1000..40000 models.III.epochs=2",
        f"{FEW} {TRAINING}.epochs=[1,2,3],[1,2,4]",
        f"depth=I {FEW} {TRAINING}.epochs=[1],[2] models.I.epochs=4,auto",  # with the second value of the other
        f"{FEW} models.I.epochs=4,auto models.II.epochs=4 models.III.epochs=4 recipe=published,onecycle {TRAINING}.epochs=[1],[2]",
        f"depth=I models.I.epochs=9 {PLATEAU}.factor=0.1..0.5 recipes.published.training.schedule.patience=3",
        f"depth=I models.I.epochs=9 {TRAINING}.patience=none,9",
        f"depth=I models.I.epochs=2 {TRAINING}.skip_easy=0.1..0.5",
        # only with the second values of three others
        f"depth=I recipe=published,onecycle models.I.epochs=4,auto datasets.digits.least_images=40000,1 {TRAINING}.epochs=[1],[2]",
    ],
)  # fmt: skip
def test_a_setting_that_changes_some_training_is_searched(text):
    assert parse(text)


@pytest.mark.parametrize("text", ["datasets.folder.least_images=1000..40000", f"{TRAINING}.epochs=[1,2,3],[2,2,2]", "growth=identity,copy"])  # fmt: skip
def test_a_setting_whose_effect_depends_on_unknown_images_is_searched(text):
    assert parse(f"data=folder {text}", None)


def test_values_that_train_the_same_are_one_error_each():
    for text, two in (
        ("depth=II growth=identity,copy,random", "growth: copy and random"),
        ("depth=I models.I.epochs=50,auto,3", "models.I.epochs: 50 and auto"),
    ):
        with pytest.raises(InputError) as error:
            parse(text)
        assert str(error.value).startswith(f"{two} train ")
        assert str(error.value).endswith(" the same way; list one of them")


LAYERS = "conv3-{} maxpool conv3-256 maxpool conv3-512 maxpool fc-1024"


def test_a_value_with_which_no_ladder_can_be_built_is_an_error_before_a_trial():
    with pytest.raises(InputError) as error:
        parse(f"depth=I models.I.layers='{LAYERS.format(128)}','{LAYERS.format(64)}'")
    shapes = "has shape (3,), but conv1_1.bias of the source has (2,); give both layers the same shape"
    value = f"models.I.layers={LAYERS.format(64)}"
    assert error.value.faults[0].startswith(f"{value}: models.II: after I: conv1_1.bias {shapes}")
    assert all(fault.startswith(value) for fault in error.value.faults)


def test_a_ladder_that_no_value_mends_is_told_once():
    with pytest.raises(InputError) as error:
        parse(f"depth=I models.I.layers='{LAYERS.format(64)}' lr=0.1..0.2 seed=1 width=0.25,0.5")
    told = [fault.partition(" has shape")[0] for fault in error.value.faults]
    start = "params.yaml, changed by the search: models.II: after I: conv1_1"
    assert told[:2] == [f"{start}.bias", f"{start}.weight"]
    assert len(set(told)) == len(told) == 3


def test_values_that_need_one_another_are_searched():
    second = LAYERS.format(64).replace("conv3-512", "conv3-512*2")
    first = second.replace("64", "128", 1)
    both = f"models.I.layers='{LAYERS.format(128)}','{LAYERS.format(64)}' models.II.layers='{first}','{second}'"
    space = parse_space(GOOD, split_changes(f"depth=II {both} models.III.after=scratch"))
    trainings = check_space(GOOD, space, DIGITS)
    names = list(space.varied)
    assert not trainings.find_faults({name: space.varied[name][1] for name in names})
    assert (
        "models.II: after I: conv1_1.bias"
        in trainings.find_faults(space.first | {names[0]: space.varied[names[0]][1]})[0]
    )


def test_no_fault_of_a_search_names_an_option_that_was_not_typed():
    for text in ("lrr=1..2", "lr=0..1", "lr=x..", "a b=1..2", "+x.y=1..2", "~lr=1,2", "lr=,,", "lr.x=1..2"):
        with pytest.raises(InputError) as error:
            parse(text)
        assert not any("-S" in fault for fault in error.value.faults)


def test_all_faults_are_told_at_once():
    with pytest.raises(InputError) as error:
        parse("lr=1..0 models.I.epochs=x..2")
    assert len(error.value.faults) == 2


class TestDefinition:
    @pytest.fixture
    def definition(self, built):
        def define(text, **settings):
            content = GOOD | settings
            changes = split_changes(text)
            return make_definition(built.path, content, parse_space(content, changes), changes)

        return define

    def test_the_searched_settings_of_params_yaml_are_no_part_of_it(self, definition):
        assert definition("lr=0.01..0.1") == definition("lr=0.01..0.1", lr=0.05)
        assert definition("lr=0.01..0.1") != definition("lr=0.01..0.1", seed=1)

    def test_an_unnamed_search_has_a_name_of_its_own(self, definition):
        names = [choose_name(None, definition(text)) for text in ("lr=0.01..0.1", "lr=0.01..0.1", "lr=0.01..0.2")]
        assert names[0] == names[1] != names[2]
        assert choose_name("a-1", {}) == "a-1"

    @pytest.mark.parametrize("name", ["", "a/b", "../a", "-a", "a b", "x" * 65])
    def test_an_invalid_name_is_one_error(self, name):
        with pytest.raises(InputError, match="invalid; use 1 to 64 letters, digits, - and _"):
            choose_name(name, {})

    def test_another_search_of_the_same_name_is_one_error(self, definition):
        stored = definition("lr=0.01..0.1")
        with pytest.raises(InputError) as error:
            require_same("a", stored, definition("lr=0.01..0.2", seed=1), "choose another name")
        assert str(error.value) == (
            "a: this search has other ranges or values and has other settings in params.yaml; choose another name"
        )
        with pytest.raises(InputError, match="started from another commit and started from other code; do it"):
            require_same("a", stored | {"commit": "0", "code": "0"}, stored, "do it")
