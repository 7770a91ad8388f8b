from pathlib import Path

import numpy as np
import pytest

from neurond.data import DataError, Dataset, describe, load

IRIS = "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n6.3,3.3,virginica\n4.9,3.0,setosa\n"


def csv(folder: Path, text: str | bytes) -> str:
    """The spec of a csv file with this text."""
    path = folder / "d.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"csv:{path}"


def rows(data: Dataset) -> list[list[object]]:
    """Every row of both parts, its class by name or its target last, sorted."""
    x = np.concatenate([data.x_train, data.x_test]).tolist()
    y = np.concatenate([data.y_train, data.y_test]).tolist()
    return sorted(
        [*(round(v, 4) for v in a), data.classes[b] if data.classes else b[0]] for a, b in zip(x, y, strict=True)
    )


def test_words_are_classes_by_name(tmp_path: Path) -> None:
    """The last column holds the label by default, and its words are the classes' names."""
    spec = csv(tmp_path, IRIS)
    data = load(spec)
    assert data.classes == ("setosa", "versicolor", "virginica")
    assert rows(data) == [
        [4.9, 3.0, "setosa"],
        [5.1, 3.5, "setosa"],
        [6.3, 3.3, "virginica"],
        [7.0, 3.2, "versicolor"],
    ]
    assert (data.x_train.dtype, data.y_train.dtype, data.scale) == (np.float32, np.int64, 1.0)
    assert describe(spec) == data.shape


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (IRIS, "species"),
        (IRIS, "3"),
        (IRIS.split("\n", 1)[1], None),
        (IRIS.split("\n", 1)[1], "3"),
        (IRIS.replace(",", ";"), None),
        (IRIS.replace(",", "\t"), "species"),
        (IRIS.replace(",", "|"), None),
        (IRIS.replace(",", ", "), "species"),
        (IRIS.replace("\n", "\r\n"), None),
        ("\n" + IRIS.replace("\n", "\n\n"), None),
        ("\ufeff" + IRIS, "species"),
        (IRIS.replace("species", '"species"').replace("setosa", '"setosa"'), "species"),
        (IRIS.rstrip(), None),
        ("\n".join(",".join(reversed(line.split(","))) for line in IRIS.split("\n")), "species"),
    ],
    ids=["by name", "by number", "no header", "no header, by number", "semicolons", "tabs", "bars", "spaces",
         "CRLF", "empty lines", "byte order mark", "quotes", "no last newline", "label first"],
)  # fmt: skip
def test_one_table_in_many_spellings(tmp_path: Path, text: str, label: str | None) -> None:
    """Header or none, any usual separator, quotes, line ends: the same rows come out."""
    data = load(csv(tmp_path, text), label=label)
    plain = load(csv(tmp_path, IRIS))
    assert data.classes == plain.classes
    assert sorted(sorted(map(str, r)) for r in rows(data)) == sorted(sorted(map(str, r)) for r in rows(plain))


def test_whole_numbers_are_classes_in_their_own_order(tmp_path: Path) -> None:
    """Labels 10 and 9 are sorted as numbers, and a label written 9.0 is the same class as 9."""
    data = load(csv(tmp_path, "a,y\n1,10\n2,9\n3,9.0\n"))
    assert data.classes == ("9", "10")
    assert rows(data) == [[1.0, "10"], [2.0, "9"], [3.0, "9"]]


def test_fractions_are_a_regression(tmp_path: Path) -> None:
    """Labels of which one is no whole number are float32 targets."""
    data = load(csv(tmp_path, "a,y\n1,10\n2,9.5\n3,-1\n"))
    assert (data.classes, data.shape.targets, data.y_train.dtype) == ((), 1, np.float32)
    assert rows(data) == [[1.0, 10.0], [2.0, 9.5], [3.0, -1.0]]


def test_a_label_number_is_not_looked_for_in_the_data(tmp_path: Path) -> None:
    """Without a header, label 1 is the first column, also where the first line has a cell `1`."""
    assert rows(load(csv(tmp_path, "7,1,0\n2,1,5\n"), label="1")) == [[1.0, 0.0, "7"], [1.0, 5.0, "2"]]


def test_counted_columns_are_a_header(tmp_path: Path) -> None:
    """0,1,2,3 is what pandas writes above columns without names, and no row."""
    assert rows(load(csv(tmp_path, "0,1,2,3\n5,6,7,1\n6,7,8,0\n"))) == [[5.0, 6.0, 7.0, "1"], [6.0, 7.0, 8.0, "0"]]


def test_the_seed_chooses_the_held_out_rows(tmp_path: Path) -> None:
    """The same seed holds the same rows out; another seed, others."""
    spec = csv(tmp_path, "".join(f"{i},{i % 2}\n" for i in range(50)))
    np.testing.assert_array_equal(load(spec, seed=3).x_test, load(spec, seed=3).x_test)
    assert not np.array_equal(load(spec, seed=3).x_test, load(spec, seed=4).x_test)
    assert load(spec, test=0.5).shape.test == 25


BAD: dict[str, tuple[str | bytes, str | None, str]] = {
    "ragged": (IRIS + "1,2\n", None, r"line 6 has 2 cells, but line 1 has 3"),
    "ragged, after a quoted line break": ('a,y\n1,"x\ny"\n1,2,3\n', None, r"line 4 has 3 cells, but line 1 has 2"),
    "empty cell": ("a,b,y\n1,2,x\n1,,y\n", None, r"line 3, column 2 \(b\): an empty cell"),
    "NaN": ("a,b,y\n1,nan,x\n1,2,y\n", None, r"line 2, column 2 \(b\): NaN"),
    "NaN right of the label": ("y,a,b\nx,1,2\ny,1,nan\n", "y", r"line 3, column 3 \(b\): NaN"),
    "too large": ("a,b,y\n1,1e99,x\n1,2,y\n", None, r"line 2, column 2 \(b\): infinite, or too large"),
    "word": ("a,b,y\n1,2,x\n1,two,y\n", None, r"line 3, column 2 \(b\): 'two' is not a number"),
    "word, no header": ("1,2,x\n1,two,y\n", None, r"line 2, column 2: 'two' is not a number"),
    "word in the first line": ("1,two,x\n1,2,y\n", None, r"line 1, column 2: 'two' is not a number \(a header"),
    "empty label": ("a,y\n1,x\n2, \n", None, r"line 3, column 2 \(y\): the label is empty"),
    "NaN label": ("a,y\n1,0.5\n2,nan\n", None, r"line 3, column 2 \(y\): label 'nan' is not a finite"),
    "infinite label": ("a,y\n1,0.5\n2,1e300\n", None, r"label '1e300' is not a finite"),
    "unknown label": (IRIS, "specis", r"no column 'specis' \(there are: length, .*\), did you mean 'species'\?"),
    "unknown label, no header": ("1,2,3\n4,5,6\n", "specis", r"no header to find label 'specis' in"),
    "label number too large": ("1,2,3\n4,5,6\n", "4", r"no header to find label '4' in; give its number, 1 to 3"),
    "label twice": ("y,a,y\n1,2,3\n", "y", r"more than one column is named 'y'"),
    "empty": ("", None, r"d.csv: empty"),
    "white": ("\n \n", None, r"d.csv: empty"),
    "header only": ("a,b,y\n", None, r"no rows below the header"),
    "one row": ("a,b,y\n1,2,0.5\n", None, r"1 rows are too few"),
    "one column": ("y\n1\n", None, r"only one column"),
    "one class": ("a,y\n1,x\n2,x\n", None, r"column 2 \(y\): every label is 'x'"),
    "an id as label": ("".join(f"1,n{i}\n" for i in range(30)), None, r"30 different labels in 30 rows"),
    "not text": (b"a,y\n1,\xff\n", None, r"not UTF-8 text \(byte 0xff\)"),
    "NUL": (b"a,y\n1,2\n\0,3\n", None, r"line 3"),
    "open quote": ('a,y\n1,"x\n', None, r"line 2: not csv"),
    "endless cell": ("a,y\n1," + "x" * 200_000 + "\n", None, r"line 2: not csv \(field larger than"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_one_clear_line(tmp_path: Path, case: str) -> None:
    """The error names the file and what is wrong, with line and column where there are any."""
    text, label, message = BAD[case]
    with pytest.raises(DataError, match=message) as e:
        load(csv(tmp_path, text), label=label)
    assert "d.csv" in str(e.value)
    assert "\n" not in str(e.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is named."""
    with pytest.raises(DataError, match=r"gone.csv: no such file$"):
        load(f"csv:{tmp_path}/gone.csv")
    with pytest.raises(DataError, match=r"is a folder"):
        load(f"csv:{tmp_path}")
