"""The data sets that come with the package: `digits` and `xor`. They need no file and no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurond.data.dataset import Dataset, from_rows, held_out
from neurond.data.idx import idx_shape, read_idx
from topology.plan import DataPlan, DataShape

EMBEDDED = ("digits", "xor")

_DIGITS = Path(__file__).parent / "digits.gz"
_DIGITS_SEED = 1797  # the same rows are held out whatever the run's seed, so that runs can be compared
_DIGITS_CLASSES = tuple("0123456789")
_DIGITS_SCALE = 1 / 16

_XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.uint8)
_XOR_Y = np.array([0, 1, 1, 0], np.int64)
_XOR_CLASSES = ("0", "1")
_XOR_REPEATS = 500


def digits(test: float | None) -> Dataset:
    """UCI optical digits: 1,797 images of 8 x 8 with 0 to 16 in each pixel, written by 13 people.

    `test` is the share held out (a fifth where None), always the same rows. README.md beside this file
    has the source, the licence and the file format.
    """
    rows = read_idx(_DIGITS, dims=2)
    x, y = np.ascontiguousarray(rows[:, :64]), rows[:, 64].astype(np.int64)
    return from_rows(x, y, scale=_DIGITS_SCALE, classes=_DIGITS_CLASSES, test=test, seed=_DIGITS_SEED, where="digits")


def digits_shape(test: float | None) -> DataShape:
    """The shape of `digits`."""
    n, columns = idx_shape(_DIGITS, dims=2)
    n_test = held_out(n, test, "digits")
    reading = DataPlan(_DIGITS_SCALE, classes=_DIGITS_CLASSES)
    return DataShape(columns - 1, classes=10, targets=1, train=n - n_test, test=n_test, reading=reading)


def xor() -> Dataset:
    """Exclusive or: its four points, 500 times over to make an epoch worth its name; tested on the four."""
    x, y = np.tile(_XOR_X, (_XOR_REPEATS, 1)), np.tile(_XOR_Y, _XOR_REPEATS)
    return Dataset(x, y, _XOR_X, _XOR_Y, scale=1.0, classes=_XOR_CLASSES)


def xor_shape() -> DataShape:
    """The shape of `xor`."""
    reading = DataPlan(classes=_XOR_CLASSES)
    n = len(_XOR_X)
    return DataShape(features=2, classes=2, targets=1, train=n * _XOR_REPEATS, test=n, reading=reading)
