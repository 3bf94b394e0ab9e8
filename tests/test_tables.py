"""Tables that list images: their text, delimiters, quotes and columns."""

import csv
import json

import pytest

from deepen.config.dataset_settings import Columns
from deepen.core.errors import InputError
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.reading import read_table

ROWS = [["a.png", "cat"], ["b.png", "dog"]]


def read(text, name="labels.csv"):
    table = read_table(name, text if isinstance(text, bytes) else text.encode())
    return table.columns, [row.cells for row in table.rows]


def refused(text, name="labels.csv"):
    with pytest.raises(InputError) as error:
        read(text, name)
    (fault,) = error.value.faults
    return fault


@pytest.mark.parametrize(
    "text",
    [
        "file,label\na.png,cat\nb.png,dog\n",
        "file;label\r\na.png;cat\r\nb.png;dog",
        "file\tlabel\ra.png\tcat\rb.png\tdog",
        "file|label\na.png|cat\nb.png|dog",
        "\ufefffile,label\na.png,cat\nb.png,dog",
        "file,label\na.png,cat\nb.png,dog".encode("utf-16"),
        '"file","label"\n"a.png","cat"\n"b.png","dog"',
        ' file , label \na.png, "cat"\nb.png,\tdog ',
        "\nfile,label\n\na.png,cat\n,\nb.png,dog\n\n",
        "file,label\na.png,cat,,\nb.png,dog,",
    ],
    ids=["comma", "semicolon", "tab", "bar", "BOM", "UTF-16", "quotes", "spaces", "blank lines", "empty cells behind"],
)
def test_each_usual_form_of_csv_is_read_alike(text):
    assert read(text) == (["file", "label"], ROWS)


def test_quoted_cells_may_contain_delimiters_quotes_and_line_breaks():
    _, rows = read('file,label,text\n"a,1.png","the ""cat""","two\nlines"\nb.png,dog,\n')
    assert rows == [["a,1.png", 'the "cat"', "two\nlines"], ["b.png", "dog", ""]]
    table = read_table("labels.csv", b'file,label\n"a\n",x\nb.png,dog\n')
    assert [row.line for row in table.rows] == [2, 4]


def test_of_two_delimiters_the_one_that_fits_more_rows_is_taken():
    assert read("file;label, english\na.png;cat\nb.png;dog")[1] == ROWS
    assert read("file;label, english;split, part\na.png;cat;x\nb.png;dog, and more;y")[0][2] == "split, part"
    assert read("file,label;x\na.png,cat\nb.png,dog")[1] == ROWS


def test_json_lines_are_a_table_too():
    lines = [
        {"file_name": "a.png", "label": 3},
        {"file_name": "b.png", "label": None, "objects": {"x": [1]}},
        {"file_name": "c.png", "label": ["x"]},
    ]
    columns, rows = read("\n".join(map(json.dumps, lines)) + "\n\n", "metadata.jsonl")
    assert columns == ["file_name", "label", "objects"]
    assert rows == [["a.png", "3", ""], ["b.png", "", '{"x": [1]}'], ["c.png", '["x"]', ""]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: has 0 columns, but at least two are needed; write their names, for example file_name,label, separated by a comma, semicolon, tab or vertical bar"),
        ("file\na.png\n", "line 1: has 1 column, but at least two are needed"),
        ("file,label\n", "has no rows; write one for each image"),
        ("a.png,cat\nb.png,dog", "line 1: must name the columns, got 'a.png', 'cat'; insert a line such as file_name,label before it"),
        ("file,label\na.png,cat,x\nb.png,dog\nc.png", 'line 2: has 3 cells, but the first line has 2, and 1 more row another number; put a cell that contains a comma into double quotes ("")'),
        ("file;label\na.png\n", "line 2: has 1 cell, but the first line has 2; put a cell that contains a semicolon into"),
        ('file,label\na.png,"cat\nb.png,dog\n', "line 2: invalid quotes (unexpected end of data); close each quote, and double quotes within a cell"),
        ('file,label\na.png,cat\nb.png,"d"og\n', "line 3: invalid quotes ("),
        ('"file,label\n', "line 1: invalid quotes (unexpected end of data)"),
        (b"file,label\na.png,b\xe4r\n", "not UTF-8 text, byte 0xe4 at position 18; save it as UTF-8 (in spreadsheets: CSV UTF-8)"),
        (b"\xff\xfea", "damaged UTF-16 text; save it as UTF-8"),
        ("file,label\na\0.png,cat\n", "has a NUL character, which text never has; save it as CSV in UTF-8"),
    ],
)  # fmt: skip
def test_what_is_not_a_table_is_an_error(text, fault):
    assert refused(text).startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"file_name": "a.png"}\n{"file_name"\n', "line 2: invalid JSON ("),
        ("[1]", "line 1: must be a JSON object, got [1]; write for example {...}"),
        ("", "has no rows; write one for each image"),
        ("[" * 100_000, "line 1: invalid JSON ("),
    ],
)
def test_what_is_not_json_lines_is_an_error(text, fault):
    assert refused(text, "metadata.jsonl").startswith(fault)


def test_a_long_cell_is_read():
    assert read(f"file,label,text\na.png,cat,{'x' * 200_000}\n")[1][0][2] == "x" * 200_000


def test_the_limit_of_cells_in_other_files_is_not_lowered():
    before = csv.field_size_limit()
    read("image,label\na,b\n")
    assert csv.field_size_limit() >= before


def choose(header, columns=None, table="labels.csv", entry="folder", rows="a,b,c,d,e"):
    content = f"{header}\n{','.join(rows.split(',')[: header.count(',') + 1])}\n"
    return TableChoice(table, columns or Columns(), entry=entry).choose_columns(read_table("x.csv", content.encode()))


def choice_faults(*arguments, **options):
    with pytest.raises(InputError) as error:
        choose(*arguments, **options)
    return list(error.value.faults)


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("file_name,label", (0, 1, None)),
        ("label,Split,FileName", (2, 0, 1)),
        ("id,class,image_path,subset", (2, 1, 3)),
        (",image_id,category", (1, 2, None)),
        ("file_name,path,label,class", (0, 2, None)),
        ("id,breed", (0, 1, None)),
    ],
)
def test_columns_of_usual_names_are_found(header, chosen):
    assert choose(header) == chosen


def test_columns_may_be_named():
    named = Columns(file="b", label="Breed", split="part")
    assert choose("a,b,Breed,part", named) == (1, 2, 3)
    assert choose("file_name,label,breed", Columns(label="Breed")) == (0, 2, None)
    assert choose("file_name,label,split", Columns(split="none")) == (0, 1, None)


def test_unclear_columns_are_an_error():
    assert choice_faults("a,b,c") == [
        "column of file names: none is named file_name, the columns are a, b, c; name one with -S datasets.folder.columns.file=...",
        "column of classes: none is named label, the columns are a, b, c; name one with -S datasets.folder.columns.label=...",
    ]
    assert choice_faults("file,image,label", entry=None) == [
        "column of file names: may be file and image; choose one with --file-column=file"
    ]
    assert choice_faults("file,label,label") == ["column of classes: 2 columns have the name label; rename all but one"]
    assert choice_faults("file,label", Columns(label="labl", split="x")) == [
        "column of classes: -S datasets.folder.columns.label=labl, but the columns are file, label; did you mean label?",
        "column of parts: -S datasets.folder.columns.split=x, but the columns are file, label; name one of them",
    ]
    assert choice_faults("file_name,text", table=None)[0].startswith("column of classes: none is named label")


def test_a_column_for_each_class_is_an_error_that_says_so():
    assert choice_faults("image_id,healthy,rust,scab", rows="a,0,1,0") == [
        "column of classes: healthy, rust, scab have only 0 and 1, so each may be a class; write one column, label, with "
        "the name of each image's only class"
    ]
