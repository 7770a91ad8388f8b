"""Data sets in csv files: numbers in every column but one, which holds the label.

Commas, semicolons, tabs or bars separate the cells. The first line is a header where it holds the label's name,
or no number (the label's own cell aside), or counts its columns from 0. Labels that are words or whole numbers are
classes, kept by name; labels with a fraction make it a regression. Errors name the line and the column, both
counted from 1.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from numpy.typing import NDArray

from neurond.data.dataset import (
    DataError,
    Dataset,
    Targets,
    classes_or_values,
    did_you_mean,
    from_rows,
    reading,
)

if TYPE_CHECKING:
    from _csv import Reader  # the csv module does not name its reader's type

_DELIMITERS = ",;\t|"
_BLANK: tuple[list[str], ...] = ([], [""])  # what csv makes of an empty line, and of one of white space
_SHOWN = 8  # column names that an error lists


def load_csv(path: Path, *, label: str | None, test: float | None, seed: int) -> Dataset:
    """The data set in a csv file; a share `test` of its rows, chosen by `seed`, is held out.

    `label` is the name of the label's column, or its number from 1; None is the last column.
    Raises DataError: ragged rows, cells that are empty, no numbers or not finite, unknown label column, too
    few rows, labels that are neither classes nor numbers.
    """
    table = read_table(path, label=label)
    y, classes = _targets(table, path)
    data = from_rows(table.x, y, scale=1.0, classes=classes, test=test, seed=seed, where=str(path))
    return replace(data, columns=table.columns, label=table.label)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a csv file."""

    x: NDArray[np.float32]  # (rows, columns without the label's)
    labels: list[str]  # as written, without the white space around; empty where there is no label column
    lines: Sequence[int]  # the line where each row ends
    label_column: str  # for errors: `column 5 (species)`
    columns: tuple[str, ...]  # names of the columns of x; empty where they have none, or not each its own
    label: str  # name of the label's column; empty where it has none


def read_table(path: Path, *, label: str | None, features: int | None = None, columns: Sequence[str] = ()) -> Table:
    """The rows of a csv file.

    Args:
        path: the file, UTF-8.
        label: name or number of the label's column; None is the last one, or with `features` none at all.
        features: the columns that there must be beside the label's, which may then be absent; None is any.
        columns: with `features`: their names. A file with a header is read by them, in whatever order it has
            them, and its label's column is passed over.

    Raises:
        DataError: see `load_csv`.

    """
    with reading(path), path.open(encoding="utf-8-sig", newline="") as f:
        try:
            reader = csv.reader(f, delimiter=_delimiter(f), skipinitialspace=True, strict=True)
            return _rows(path, reader, label, features, columns)
        except csv.Error as e:
            raise DataError(f"{path}: line {reader.line_num}: not csv ({e})") from None
        except UnicodeDecodeError as e:
            raise DataError(f"{path}: not UTF-8 text (byte {e.object[e.start]:#x}); save it as UTF-8") from None


def _rows(path: Path, reader: Reader, label: str | None, features: int | None, columns: Sequence[str]) -> Table:
    first = next((row for row in reader if row not in _BLANK), None)
    if first is None:
        raise DataError(f"{path}: empty")
    width, first_line = len(first), reader.line_num
    names = _header([cell.strip() for cell in first], label, features, columns)
    if names and columns:
        column, taken = None, _by_name(path, names, columns, label)
    else:
        column = _label_column(path, names, width, label, features)
        taken = [i for i in range(width) if i != column]
    in_order = taken == list(range(width))
    values, labels, lines = array("f"), [], array("q")

    def keep(row: list[str]) -> None:
        if len(row) != width:
            raise DataError(f"{path}: line {reader.line_num} has {len(row)} cells, but line {first_line} has {width}")
        lines.append(reader.line_num)
        if column is not None:
            labels.append(row[column].strip())
            if not labels[-1]:
                raise DataError(f"{path}: line {reader.line_num}, {_column(names, column)}: the label is empty")
        try:
            values.extend(map(float, row if in_order else [row[i] for i in taken]))
        except ValueError:
            raise DataError(f"{path}: {_bad_cell(row, taken, names, reader.line_num)}") from None

    if not names:
        keep(first)
    for row in reader:
        if row not in _BLANK:
            keep(row)
    if not lines:
        raise DataError(f"{path}: no rows below the header")
    x = np.frombuffer(values, np.float32).reshape(len(lines), -1)
    finite = np.isfinite(x)
    if not finite.all():
        row_number, position = divmod(int(np.argmin(finite)), x.shape[1])
        what = "NaN" if np.isnan(x[row_number, position]) else "infinite, or too large for float32"
        raise DataError(
            f"{path}: line {lines[row_number]}, {_column(names, taken[position])}: {what}; a number is needed"
        )
    if column is None:
        return Table(x, labels, lines, "", (), "")
    named = bool(names) and len(set(names)) == len(names)
    own = tuple(names[i] for i in taken) if named else ()
    return Table(x, labels, lines, _column(names, column), own, names[column] if named else "")


def _by_name(path: Path, names: list[str], columns: Sequence[str], label: str | None) -> list[int]:
    """Where the columns are that a network was trained on. Raises DataError where one is missing, or too many."""
    for name in columns:
        if names.count(name) != 1:
            what = "more than one column is" if name in names else "no column is"
            raise DataError(f"{path}: {what} named {name!r}, which the network reads{did_you_mean(name, names)}")
    surplus = [i for i, name in enumerate(names) if name != label and name not in columns]
    if surplus:
        raise DataError(f"{path}: {_column(names, surplus[0])} is none that the network reads; remove it")
    return [names.index(name) for name in columns]


def _delimiter(f: TextIO) -> str:
    """The separator that the first line with text has most of; quoted text does not count."""
    line = "\n"
    while line and not line.strip():
        line = f.readline(1 << 20)  # a bound, for files that are no text and have no lines
    f.seek(0)
    unquoted = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)


def _header(first: list[str], label: str | None, features: int | None, columns: Sequence[str]) -> list[str]:
    """The columns' names, where the first line holds them; empty where it is data already."""
    width = len(first)
    if columns and set(columns) <= set(first):
        return first
    if label is None:
        without = width - 1 if features is None else width
    elif number := _column_number(label):
        without = number - 1
    elif label in first:
        return first
    else:
        without = width
    others = [cell for i, cell in enumerate(first) if i != without]
    words = any(others) and not any(map(_is_number, others))
    counted = width >= 4 and first == [str(i) for i in range(width)]  # pandas' names for columns without one
    return first if words or counted else []


def _label_column(path: Path, names: list[str], width: int, label: str | None, features: int | None) -> int | None:
    """Where the label is, from 0; None if there is none. Raises DataError where the columns do not fit."""
    column = None
    if label is None:
        column = width - 1 if features is None else None
    elif names.count(label) > 1:
        raise DataError(f"{path}: more than one column is named {label!r}; give its number, 1 to {width}")
    elif label in names:
        column = names.index(label)
    elif (number := _column_number(label)) and number <= width and features in (None, width - 1):
        column = number - 1
    elif features is None and not names:
        raise DataError(f"{path}: no header to find label {label!r} in; give its number, 1 to {width}")
    elif features is None:
        listed = ", ".join(names[:_SHOWN]) + (", ..." if width > _SHOWN else "")
        raise DataError(f"{path}: no column {label!r} (there are: {listed}){did_you_mean(label, names)}")
    wanted = width - (column is not None)
    if features not in (None, wanted):
        hint = "; name the label's column, so that it is left out" if wanted == (features or 0) + 1 else ""
        raise DataError(f"{path}: {wanted} columns of inputs, but the network reads {features}{hint}")
    if wanted == 0:
        raise DataError(f"{path}: only one column; inputs and a label are needed")
    return column


def _column_number(label: str) -> int:
    """The number of a column, from 1; 0 where `label` is none."""
    return int(label) if label.isdecimal() and len(label) < 10 else 0


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _column(names: list[str], column: int) -> str:
    return f"column {column + 1} ({names[column]})" if names else f"column {column + 1}"


def _bad_cell(row: list[str], taken: list[int], names: list[str], line: int) -> str:
    column = next(i for i in taken if not _is_number(row[i]))
    cell = row[column].strip()
    where = f"line {line}, {_column(names, column)}"
    if not cell:
        return f"{where}: an empty cell; a number is needed"
    hint = "" if names else " (a header has no numbers, or holds the label's name)"
    return f"{where}: {cell[:40]!r} is not a number{hint if line == 1 else ''}"


def _targets(table: Table, path: Path) -> tuple[Targets, tuple[str, ...]]:
    """Targets (rows,) or (rows, 1), and the classes' names."""
    where = f"{path}: {table.label_column}"
    try:
        numbers = np.array([float(label) for label in table.labels])
    except ValueError:
        return classes_or_values(np.array(table.labels), where)
    with np.errstate(over="ignore"):
        finite = np.isfinite(numbers.astype(np.float32))
    if not finite.all():
        row = int(np.argmin(finite))
        at = f"line {table.lines[row]}, {table.label_column}"
        raise DataError(f"{path}: {at}: label {table.labels[row]!r} is not a finite number")
    return classes_or_values(numbers, where)
