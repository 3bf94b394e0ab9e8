import io

import pandas as pd
import pytest

from deepen.spreadsheets import as_csv, inert


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_formula_is_a_text(start):
    assert inert(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", "cat", "a=1", "1-2", "'=1"])
def test_a_text_stays_as_it_is(text):
    assert inert(text) == text


def test_of_a_table_texts_and_headings_are_inert_and_numbers_stay():
    table = pd.DataFrame({"=name": ["@x", None, "cat"], "loss": [-0.5, 1.0, float("nan")], "k": [1, 2, 3]})
    table["published"] = pd.array([-1.5, None, 2.0], dtype="Float64")
    found = as_csv(table)
    assert found == "'=name,loss,k,published\n'@x,-0.5,1,-1.5\n,1.0,2,\ncat,,3,2.0\n"
    assert pd.read_csv(io.StringIO(found))["loss"].tolist()[:2] == [-0.5, 1.0]


def test_a_harmless_table_is_what_pandas_writes():
    table = pd.DataFrame({"model": ["I", "II"], "top-1": [79.48, 84.24], "after": ["scratch", "I"]})
    assert as_csv(table) == table.to_csv(index=False)
