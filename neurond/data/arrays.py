"""Data sets in NumPy's npz files: arrays x, y, or x_train, y_train, x_test, y_test.

x has a row an example, of any shape; a row is flattened. uint8 is taken as pixels (255 is an input of 1),
every other kind of number as it is. y holds class labels (whole numbers, text, or one-hot rows) or, as floats
that are not whole, the targets of a regression.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.data.dataset import (
    DataError,
    Dataset,
    Inputs,
    Targets,
    classes_or_values,
    from_rows,
    held_out,
    uint8_scale,
)
from neurond.data.npz import Npz
from topology.plan import DataPlan, DataShape

_WHOLE = ("x", "y")
_SPLIT = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: Path, *, test: float | None, seed: int) -> Dataset:
    """The data set in an npz file; without x_test and y_test, a share `test` of its rows is held out.

    Raises DataError: not npz; arrays missing, of objects, not of numbers, with NaN, or that do not fit.
    """
    with Npz(path) as npz:
        names = _names(npz)
        y, classes, n_train = _targets(npz, names)
        x = as_inputs(npz.array(names[0]), f"{path}: {names[0]}")
        _same_rows(path, names[0], len(x), names[1], n_train)
        if names == _WHOLE:
            return from_rows(x, y, scale=uint8_scale(x), classes=classes, test=test, seed=seed, where=str(path))
        x_test = as_inputs(npz.array("x_test"), f"{path}: x_test")
    _same_rows(path, "x_test", len(x_test), "y_test", len(y) - n_train)
    _same_features(path, x.shape[1], x_test.shape[1])
    if x_test.dtype != x.dtype:
        raise DataError(f"{path}: x_test is {x_test.dtype}, but x_train is {x.dtype}; store both alike")
    return Dataset(x, y[:n_train], x_test, y[n_train:], uint8_scale(x), classes)


def describe_npz(path: Path, *, test: float | None) -> DataShape:
    """The shape of the data set in an npz file. Of inputs, only those of uint8 are read."""
    with Npz(path) as npz:
        names = _names(npz)
        y, classes, n_train = _targets(npz, names)
        n, features = _rows_and_features(npz, names[0])
        _same_rows(path, names[0], n, names[1], n_train)
        if names == _WHOLE:
            n_test = held_out(n, test, str(path))
            n_train = n - n_test
        else:
            n_test, test_features = _rows_and_features(npz, "x_test")
            _same_rows(path, "x_test", n_test, "y_test", len(y) - n_train)
            _same_features(path, features, test_features)
        scale = uint8_scale(npz.array(names[0])) if npz.dtype(names[0]) == np.uint8 else 1.0
    width = 1 if y.ndim == 1 else y.shape[1]
    reading = DataPlan(scale, classes=classes)
    return DataShape(features, len(classes), targets=width, train=n_train, test=n_test, reading=reading)


def as_inputs(array: NDArray[Any], where: str) -> Inputs:
    """An array (n, ...) of numbers as inputs (n, features): uint8 stays, everything else becomes float32.

    Raises DataError where it holds no numbers, NaN or infinity, or has no rows.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: {array.dtype} values; numbers are needed")
    if array.ndim < 2 or 0 in array.shape:
        raise DataError(f"{where}: its shape is {array.shape}; (rows, values) is needed, neither 0")
    rows = np.ascontiguousarray(array).reshape(len(array), -1)
    if rows.dtype == np.uint8:
        return rows
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused below
        values = rows.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.unravel_index(int(np.argmin(finite)), finite.shape)
        raise DataError(
            f"{where}[{row}] has {rows[row, column]} at position {column}; "
            "inputs must be finite numbers that fit float32"
        )
    return values


def _targets(npz: Npz, names: tuple[str, ...]) -> tuple[Targets, tuple[str, ...], int]:
    """Targets of all rows, training part first; the classes' names; the rows of the training part.

    Both parts are looked at together, so that they cannot be taken for different things.
    """
    train = _labels(npz, names[1])
    if names == _WHOLE:
        return (*_classes_or_targets(train, f"{npz.path}: y"), len(train))
    test = _labels(npz, "y_test")
    if train.ndim != test.ndim or train.shape[1:] != test.shape[1:] or (train.dtype.kind != test.dtype.kind):
        raise DataError(
            f"{npz.path}: y_test is {test.dtype} {test.shape}, but y_train is {train.dtype} {train.shape}"
        )
    n = len(train)
    y, classes = _classes_or_targets(np.concatenate([train, test]), f"{npz.path}: y_train and y_test")
    if classes:
        unseen = ~np.isin(y[n:], y[:n])
        if unseen.any():
            row = int(np.argmax(unseen))
            raise DataError(f"{npz.path}: y_test[{row}] is out of range: y_train has no label {classes[y[n + row]]}")
    return y, classes, n


def _labels(npz: Npz, name: str) -> NDArray[Any]:
    """The array `name` as labels (n,) of int64, text or float, or (n, k) of int64 or float."""
    y = npz.array(name)
    if y.dtype.kind not in "biufU" or y.ndim not in (1, 2) or 0 in y.shape or (y.ndim, y.dtype.kind) == (2, "U"):
        raise DataError(
            f"{npz.path}: {name} is {y.dtype} of shape {y.shape}; "
            "labels (rows,) or numbers (rows, targets) are needed"
        )
    if y.dtype.kind == "f":
        with np.errstate(over="ignore"):
            finite = np.isfinite(y.astype(np.float32))
        if not finite.all():
            row = int(np.argwhere(~finite)[0][0])
            raise DataError(f"{npz.path}: {name}[{row}] is {y[row]}; labels must be finite numbers")
    if y.dtype.kind in "biu":
        y = y.astype(np.int64)
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _classes_or_targets(y: NDArray[Any], where: str) -> tuple[Targets, tuple[str, ...]]:
    """Class indices with the classes' names, or float32 targets and no names."""
    if y.ndim == 2:
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()
        if one_hot:
            return y.argmax(axis=1).astype(np.int64), tuple(map(str, range(y.shape[1])))
        return y.astype(np.float32), ()
    return classes_or_values(y, where)


def _names(npz: Npz) -> tuple[str, ...]:
    for names in (_WHOLE, _SPLIT):
        if all(name in npz.names for name in names):
            return names
    holds = ", ".join(npz.names[:8]) or "nothing"
    raise DataError(f"{npz.path}: needs arrays x, y or x_train, y_train, x_test, y_test; it holds {holds}")


def _rows_and_features(npz: Npz, name: str) -> tuple[int, int]:
    shape = npz.shape(name)
    if len(shape) < 2 or 0 in shape:
        raise DataError(f"{npz.path}: {name}: its shape is {shape}; (rows, values) is needed, neither 0")
    return shape[0], math.prod(shape[1:])


def _same_rows(path: Path, x_name: str, x_rows: int, y_name: str, y_rows: int) -> None:
    if x_rows != y_rows:
        raise DataError(f"{path}: {x_name} has {x_rows} rows, but {y_name} has {y_rows}")


def _same_features(path: Path, train: int, test: int) -> None:
    if train != test:
        raise DataError(f"{path}: x_test has {test} values a row, but x_train has {train}")
