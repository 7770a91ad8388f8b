"""What a data set is once it is in memory, its shape, and the one error its readers raise.

The rules that all readers share are here too: what is a class, what is held out, what a uint8 means.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topology.plan import DataPlan, DataShape

HELD_OUT = 0.2
"""Share of the rows that is held out for testing where a data set has no test part of its own."""

PIXEL = 1 / 255
"""Scale of uint8 pixels: a full pixel is an input of 1."""

Inputs = NDArray[np.uint8] | NDArray[np.float32]
Targets = NDArray[np.int64] | NDArray[np.float32]


class DataError(ValueError):
    """The user's data cannot be used. The message is one line: what, where, and what to do.

    It may begin with the place in a topology that asks for the data; then it is `placed`.
    """

    def __init__(self, message: str, *, placed: bool = False) -> None:
        self.placed = placed
        super().__init__(message)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Examples for training and testing. The arrays may be read-only: they can share a file's bytes.

    `x_*` has shape (n, features), C-contiguous, uint8 or float32; the network sees `x * scale` as float32.
    `y_*` is int64 (n,), an index into `classes`, or float32 (n, targets) for regression.
    """

    x_train: Inputs
    y_train: Targets
    x_test: Inputs
    y_test: Targets
    scale: float
    classes: tuple[str, ...]  # empty: regression
    columns: tuple[str, ...] = ()  # names of the inputs, where a csv has given them
    label: str = ""  # name of the label's column, likewise

    @property
    def shape(self) -> DataShape:
        """The sizes of this data set."""
        return DataShape(
            features=self.x_train.shape[1],
            classes=len(self.classes),
            targets=1 if self.y_train.ndim == 1 else self.y_train.shape[1],
            train=len(self.x_train),
            test=len(self.x_test),
            reading=DataPlan(self.scale, self.columns, self.label, self.classes),
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the operating system says about `path` into a DataError.

    So is what is no regular file: a pipe has no second reading, and a device no end.
    """
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise DataError(f"{path}: a pipe or a device, not a regular file; save what it gives as a file")
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read it") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; name the file") from None
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror or e})") from None


def did_you_mean(word: str, known: list[str]) -> str:
    """``, did you mean 'mnist'?`` where one of `known` is close to `word`, else an empty string."""
    import difflib  # only errors need it, and daemons start without it

    lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), lower, n=1)
    return f", did you mean {lower[near[0]]!r}?" if near else ""


def held_out(n: int, test: float | None, where: str) -> int:
    """How many of `n` rows are held out: a share of `test`, at least one row on either side.

    Raises DataError where `test` is no share, or the rows are too few to hold one out.
    """
    share = HELD_OUT if test is None else test
    if not 0 < share < 1:
        raise DataError(f"{where}: test must be a share above 0 and below 1, such as 0.2, not {share:g}")
    if n < 2:
        raise DataError(f"{where}: {n} rows are too few: one to train on and one to test on are needed")
    return min(n - 1, max(1, round(n * share)))


def split(n: int, n_test: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers (train, test) of `n` rows, in a random order that `seed` fixes.

    RandomState, because NumPy promises never to change its stream (NEP 19); a Generator's may change, and
    with it the rows that are held out.
    """
    order = np.random.RandomState(seed % 2**32).permutation(n).astype(np.int64)
    return order[n_test:], order[:n_test]


def from_rows(
    x: Inputs,
    y: Targets,
    *,
    scale: float,
    classes: tuple[str, ...],
    test: float | None,
    seed: int,
    where: str,
) -> Dataset:
    """A Dataset of rows that come without a test part: some are held out, chosen by `seed`."""
    train_rows, test_rows = split(len(x), held_out(len(x), test, where), seed)
    return Dataset(x[train_rows], y[train_rows], x[test_rows], y[test_rows], scale, classes)


def uint8_scale(x: NDArray[Any]) -> float:
    """Scale of inputs that come without one: uint8 holds pixels, unless nothing in it is above 1."""
    return PIXEL if x.dtype == np.uint8 and x.size and int(x.max()) > 1 else 1.0


def classes_or_values(y: NDArray[Any], where: str) -> tuple[Targets, tuple[str, ...]]:
    """What labels (n,) are: class indices with the classes' names, or float32 targets (n, 1) and no names.

    Words and whole numbers are classes, also when a float holds them; numbers with a fraction are targets.
    """
    if y.dtype.kind == "f":
        if not ((y == np.floor(y)) & (np.abs(y) < 2**53)).all():
            return y.astype(np.float32)[:, None], ()
        y = y.astype(np.int64)
    return class_indices(y, where)


def class_indices(labels: NDArray[Any], where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices (n,) int64 and the classes' names, sorted, of whole-numbered or written labels (n,).

    Raises DataError where the labels cannot be classes: one class only, or nearly as many classes as rows.
    """
    names, indices = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"{where}: every label is {str(names[0])!r}: there is nothing to tell apart")
    if len(labels) >= 20 and len(names) > len(labels) / 2:
        raise DataError(
            f"{where}: {len(names)} different labels in {len(labels)} rows are too many to be classes; "
            "choose other labels, or write them with a fraction for a regression"
        )
    return indices.reshape(-1).astype(np.int64), tuple(str(name) for name in names)
