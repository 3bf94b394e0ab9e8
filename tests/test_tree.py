"""The tree of a ladder: its order, and how it is drawn."""

from deepen.core.tree import draw_tree, is_chain, list_children

BRANCHES = {"I": "scratch", "III": "II", "II": "I", "wide": "I", "IV": "III", "other": "scratch"}


def test_a_model_comes_after_the_one_it_grows_from_and_before_the_next_branch():
    assert list(draw_tree(BRANCHES)) == ["I", "II", "III", "IV", "wide", "other"]
    assert list_children(BRANCHES) == {"": ["I", "other"], "II": ["III"], "I": ["II", "wide"], "III": ["IV"]}


def test_lines_lead_from_a_model_to_those_that_grow_from_it():
    drawn = "\n".join(lines + name for name, lines in draw_tree(BRANCHES).items())
    assert drawn == "I\n├─ II\n│  └─ III\n│     └─ IV\n└─ wide\nother"


def test_a_ladder_without_branches_has_no_lines_in_whatever_order_it_is_written():
    ladder = {"III": "II", "I": "scratch", "II": "I"}
    assert is_chain(ladder)
    assert draw_tree(ladder) == {"I": "", "II": "", "III": ""}
    assert not is_chain({"I": "scratch", "II": "scratch"})


def test_a_ladder_of_a_thousand_models_can_be_drawn():
    chain = {str(i): str(i - 1) for i in range(1000)}
    assert list(draw_tree(chain)) == list(map(str, range(1000)))
    assert len(draw_tree({**chain, "branch": "998"})["999"]) == 3 * 999


def test_a_model_that_grows_from_one_not_listed_stands_by_itself():
    assert draw_tree({"II": "I", "III": "II"}) == {"II": "", "III": ""}
