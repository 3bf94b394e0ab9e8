"""Changes of settings in Hydra's grammar: what is quoted is taken as it was meant."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from test_settings import GOOD

from deepen.core.errors import InputError
from deepen.experiments.overrides import make_overrides, quote_change, quote_options, split_changes

ROOT = "datasets.folder.root"


def taken(change):
    """What `dvc exp run` makes of a change: Hydra parses it, and OmegaConf resolves it."""
    value = OverridesParser.create().parse_override(change).value()
    return OmegaConf.to_object(OmegaConf.create({"value": value}))["value"]


@pytest.mark.parametrize("path", ["/my photos", "/é", "/a[1]", "[photos]", "{photos}", "/a, b", "/it's", '/a "b"', "/a (1)", "2024", "null", "/a\\b", "/a\\", "/a\\'", "a=b", "~/x", "$HOME/x", "/\u202fx"])  # fmt: skip
def test_a_path_stays_what_it_is(path):
    assert taken(quote_change(f"{ROOT}={path}")) == path


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12))
def test_any_other_setting_stays_what_it_is(path):
    if path[0] == path[-1] and path[0] in "\"'":
        return  # quoted already
    if "\\$" in path or "${" in path:
        return  # OmegaConf's own escapes
    assert taken(quote_change(f"{ROOT}={path}")) == path


def test_a_value_that_is_quoted_or_needs_no_quotes_stays():
    for change in (
        f"{ROOT}='/my photos'",
        f'{ROOT}="/a b"',
        "lr=0.01",
        "~models.II",
        "models.III.fresh=[fc2]",
        "depth=",
    ):
        assert quote_change(change) == change
    assert quote_change("recipe=é") == "recipe='é'"


def test_a_comma_is_part_of_a_path_or_between_values_of_a_grid():
    assert quote_change(f"{ROOT}=/a, b") == f"{ROOT}='/a, b'"
    assert quote_change(f"{ROOT}=/my a,/é", sweeps=True) == f"{ROOT}='/my a','/é'"
    assert quote_change("lr=0.01,0.02", sweeps=True) == "lr=0.01,0.02"


def test_several_changes_in_one_text():
    assert split_changes(" lr=0.01  datasets.folder.root=/my photos (1) ~models.II ++new=x y ") == [
        "lr=0.01", "datasets.folder.root=/my photos (1)", "~models.II", "++new=x y",
    ]  # fmt: skip
    assert split_changes("") == []


def test_options_are_found_in_all_spellings():
    words = ["--temp", "--changes", "lr=1 seed=2", "-S", f"{ROOT}=/a b", "-Slr=3", f"--set-param={ROOT}=/é", "--changes=seed=4", "-n", "x"]  # fmt: skip
    changes = ["lr=1", "seed=2", f"{ROOT}='/a b'", "lr=3", f"{ROOT}='/é'", "seed=4"]
    flagged = [word for change in changes for word in ("--set-param", change)]
    assert list(quote_options(words)) == ["--temp", *flagged, "-n", "x"]


@pytest.mark.parametrize("words", [["-S"], ["--temp", "-S", "--queue"], ["-S", " "], ["-S", ""]])
def test_an_option_without_a_setting_is_an_error(words):
    with pytest.raises(InputError, match=r"^-S: missing setting; write for example -S lr=0\.01$"):
        list(quote_options(words))
    with pytest.raises(InputError, match=r"^--set-param: missing setting"):
        list(quote_options(["--set-param="]))


def test_whole_sections_of_settings_can_be_given():
    made = {}
    for change in make_overrides(GOOD, GOOD):
        if change.startswith("++"):
            made[change[2:].partition("=")[0]] = taken(change)
    assert made == GOOD
