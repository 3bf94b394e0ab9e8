import csv
import io

import pytest

from deepen.report.spreadsheets import escape_formula, format_csv


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_formula_is_a_text(start):
    assert escape_formula(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", "cat", "a=1", "1-2", "'=1"])
def test_a_text_stays_as_it_is(text):
    assert escape_formula(text) == text


def test_fractions_have_eight_digits_and_whole_numbers_all():
    row = {"a": 93.25842696629213, "b": 0.001996672212978369, "c": 14564966400, "d": 95.8797}
    assert format_csv([row]) == "a,b,c,d\n93.258427,0.0019966722,14564966400,95.8797\n"


def test_texts_and_headings_of_a_table_are_inert_and_numbers_stay():
    rows = [
        {"=name": "@x", "loss": -0.5, "k": 1, "published": -1.5},
        {"=name": None, "loss": 1.0, "k": 2, "published": None},
        {"=name": "cat", "loss": float("nan"), "k": 3, "published": 2.0},
    ]
    assert format_csv(rows) == "'=name,loss,k,published\n'@x,-0.5,1,-1.5\n,1.0,2,\ncat,,3,2.0\n"


@pytest.mark.parametrize("text", ['a,"b"\nc', "a\rb", "a\r\nb", "a\x0b\x85\u2028b"])
def test_a_text_with_commas_quotes_and_line_ends_comes_back_whole(text):
    rows = [{"model": text, "top-1": "79.48"}]
    assert list(csv.DictReader(io.StringIO(format_csv(rows), newline=""))) == rows
