"""The corpus of bad input: each case has one clear answer, and docs/bad-input.md knows it."""

import bad_input
import pytest

CASES = [(kind, name) for kind, cases in bad_input.KINDS.items() for name in cases]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}, {name!a}" for kind, name in CASES])
def test_bad_input_is_answered_in_lines_that_name_it_and_a_remedy(kind, name):
    faults = bad_input.answer(bad_input.KINDS[kind][name])
    assert (faults == []) == name.startswith(bad_input.HARMLESS)
    for fault in faults:
        assert fault.startswith({"settings": "params.yaml: ", "images": "images: "}.get(kind, "x: "))
        assert fault.isprintable()
        assert len(fault) < 600
        remedy = fault.rpartition("; ")[2] if "; " in fault else ""
        assert remedy or any(rule in fault for rule in (" must be ", "neither copied nor"))


def test_the_docs_count_the_cases_of_bad_input():
    told = (bad_input.ROOT / "docs/bad-input.md").read_text()
    for _, name in CASES:
        assert f"| {bad_input.cell(name)} |" in told, "run python tests/helpers/bad_input.py"
    for kind, cases in bad_input.KINDS.items():
        assert f"## {kind.capitalize()}: {len(cases)}\n" in told
