"""Inputs that nobody wrote: whatever they are, they are taken or answered with InputError, and nothing else."""

import copy
import random
import tempfile
from pathlib import Path

import pytest
import yaml_text
from bad_input import CARD, GOOD, STATE, leaves, picture, tree
from conftest import archive
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import save

from deepen.config.settings import check_settings, load_settings
from deepen.core.errors import InputError
from deepen.datasets.folder import load_folder
from deepen.decoding.decode import UnreadableImage, decode
from deepen.growth.transfer import find_violations, map_roles
from deepen.models.layers import plan
from deepen.models.networks import load_network
from deepen.models.notation import find_notation_faults, parse_notation

WORDS = ["conv3-8", "conv1-4*2", "maxpool", "fc-16", "fc-8*3", "conv", "-", "*", "conv3-", "fc-", "maxpool2", "conv3-99999999999",
         "conv2-8", "conv3-8*0", "conv3-8*1001", "\u0663", "conv\u0663-8", "\0", "\n", "fc-16 ", "CONV3-8", "conv3-8 *2", "0", "+1"]  # fmt: skip
VALUES = [None, True, False, 0, -1, 1, 2**70, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", "auto", "I", "scratch", "x" * 300,
          "\ud800", "\0", "1e-3", [], [1], {}, {"a": 1}, {"name": "sgd"}, {1: 2}, b"x", "conv3-8 fc-9", "../x"]  # fmt: skip


@pytest.fixture
def times(torture):
    """How often, so that all of them together are over 100,000 in the long form."""
    return 20 if torture else 1


def test_layer_strings_are_planned_or_refused(times, record_property):
    chance = random.Random(0)
    taken, tried = 0, 3000 * times
    for _ in range(tried):
        text = " ".join(chance.choice(WORDS[: chance.choice([5, 5, len(WORDS)])]) for _ in range(chance.randint(0, 8)))
        if chance.random() < 0.5:
            text = "".join(chance.choice("convfmaxpl0123456789-* \t") for _ in range(chance.randint(0, 30)))
        try:
            layers = list(parse_notation(text))
            assert layers
            assert not find_notation_faults(text)
            plan(text, width=chance.choice([0.01, 0.5, 1, 64]), image=(3, chance.randint(1, 40), 32), classes=10)
            taken += 1
        except InputError as error:
            assert all(error.faults)
    assert 0 < taken < tried
    record_property("layer strings", counted(tried, taken))


def test_random_settings_are_accepted_or_refused(times, record_property):
    chance = random.Random(0)
    paths = [path for path, _ in leaves(GOOD)]
    paths = sorted({path[:i] for path in paths for i in range(1, len(path) + 1)})
    taken, tried = 0, 1000 * times
    for _ in range(tried):
        content = copy.deepcopy(GOOD)
        for _ in range(chance.randint(1, 3)):
            *parents, last = chance.choice(paths)
            node = content
            for key in parents:
                node = node.get(key) if isinstance(node, dict) else None
            if isinstance(node, dict):
                if chance.random() < 0.2:
                    node.pop(last, None)
                else:
                    node[last if chance.random() < 0.8 else chance.choice(["x", 1, None, "a\nb"])] = chance.choice(
                        VALUES
                    )
        try:
            check_settings(content)
            taken += 1
        except InputError as error:
            assert all(fault.startswith("params.yaml: ") for fault in error.faults)
    assert 0 < taken < tried
    record_property("settings", counted(tried, taken))


def counted(tried, taken):
    return f"{tried:,} tried, {taken:,} taken, {tried - taken:,} answered with an error"


def damaged(content: bytes, chance: random.Random) -> bytes:
    """With some bytes changed, taken out, doubled or cut off."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) or 1)
        match chance.randrange(4):
            case 0:
                content = content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
            case 1:
                content = content[:at] + content[at + chance.randint(1, 9) :]
            case 2:
                content = content[:at] + content[at : at + 20] + content[at:]
            case 3 if chance.random() < 0.3:
                content = content[:at]
    return content


def test_damaged_settings_files_are_read_or_refused(times, tmp_path):
    chance = random.Random(0)
    content = yaml_text.dump({key: GOOD[key] for key in ("data", "lr", "models")}).encode()
    for _ in range(200 * times):
        (tmp_path / "params.yaml").write_bytes(damaged(content, chance))
        with pytest.raises(InputError):
            load_settings(tmp_path / "params.yaml")


def test_damaged_weights_files_are_read_or_refused(times, tmp_path, record_property):
    chance = random.Random(0)
    whole = save(STATE, {"deepen": CARD.model_dump_json()})
    end_of_header = 8 + int.from_bytes(whole[:8], "little")
    taken, tried = 0, 1000 * times
    for _ in range(tried):
        content = (
            damaged(whole[:end_of_header], chance) + whole[end_of_header:]
            if chance.random() < 0.7
            else damaged(whole, chance)
        )
        (tmp_path / "x").write_bytes(content)
        try:
            load_network(tmp_path / "x")
            taken += 1
        except InputError as error:
            assert all(fault.startswith(str(tmp_path)) for fault in error.faults)
    assert taken < tried / 2
    record_property("weights files", counted(tried, taken))


@pytest.mark.parametrize("kind", ["", "gz", "xz", "zip"])
def test_damaged_archives_are_read_or_refused(times, tmp_path, kind, record_property):
    chance = random.Random(0)
    whole = archive(tmp_path / "whole", tree(), kind).read_bytes()
    taken, tried = 0, 25 * times
    for _ in range(tried):
        (tmp_path / "x").write_bytes(damaged(whole, chance))
        try:
            load_folder(tmp_path / "x", None)
            taken += 1
        except InputError as error:
            assert all(fault.startswith(f"{tmp_path / 'x'}: ") for fault in error.faults)
    record_property(f"archives, {kind or 'tar'}", counted(tried, taken))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_damaged_images_are_read_or_refused(times, tmp_path, kind, record_property):
    chance = random.Random(0)
    whole = picture(size=(16, 16), value=(1, 2, 3), format=kind)
    path = tmp_path / "train" / "cat" / "x.png"
    path.parent.mkdir(parents=True)
    (tmp_path / "train" / "dog").mkdir()
    (tmp_path / "train" / "dog" / "y.png").write_bytes(picture())
    taken, tried = 0, 100 * times
    for _ in range(tried):
        path.write_bytes(damaged(whole, chance))
        try:
            load_folder(tmp_path, 8)
            taken += 1
        except InputError as error:
            assert "can't be read as an image" in str(error)
    record_property(f"images, {kind}", counted(tried, taken))


@given(st.binary(max_size=200))
def test_random_bytes_are_not_an_image(content):
    with pytest.raises(UnreadableImage):
        decode(content)


NAMES = st.sampled_from(["conv1_1", "conv2_1", "conv2_2", "fc1", "head", "x"])
SHAPES = st.dictionaries(
    NAMES.map(lambda name: f"{name}.weight"), st.tuples(st.integers(1, 2), st.integers(1, 2)), max_size=5
)


@hypothesis_settings(max_examples=300)
@given(
    SHAPES, SHAPES, st.dictionaries(NAMES, NAMES, max_size=3), st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3)
)
def test_mapping_tables_are_total_or_refused(source, target, copied, fresh, dropped):
    mapping = map_roles(source, target, copied=copied, fresh=fresh, dropped=dropped)
    if not find_violations(source, target, mapping):
        roles = lambda shapes: sorted(key.removesuffix(".weight") for key in shapes)  # noqa: E731
        assert sorted([*mapping.copied, *mapping.fresh]) == roles(target)
        assert sorted([*mapping.copied.values(), *mapping.dropped]) == roles(source)
        assert all(target[f"{new}.weight"] == source[f"{old}.weight"] for new, old in mapping.copied.items())


PARTS = st.sampled_from(
    ["train", "test", "cat", "dog", "..", ".", "", "a\nb", "\u202e", "x.png", "\u00e9", "e\u0301", "-", "C:", "\\"]
)


@hypothesis_settings(max_examples=200)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=5).map("/".join), max_size=4), st.sampled_from(["", "zip"]))
def test_names_in_an_archive_leave_nothing_behind(names, kind):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = archive(folder / "x", tree() | {each: picture() for each in names if each.strip("/")}, kind)
        try:
            train = load_folder(path, 8).images["train"]
            assert all(each.isprintable() for each in train.classes)
        except InputError as error:
            assert all(fault.isprintable() for fault in error.faults)
        assert [each.name for each in folder.iterdir()] == ["x"]
