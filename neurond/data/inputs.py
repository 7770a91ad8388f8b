"""Inputs without labels, to predict from: csv, npy, npz or IDX images, told apart by their first bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.data.dataset import DataError, reading, uint8_scale

_NPY = b"\x93NUMPY"
_ZIP = b"PK"


def read_inputs(
    path: Path,
    features: int,
    label: str | None = None,
    *,
    scale: float | None = None,
    columns: Sequence[str] = (),
) -> NDArray[np.float32]:
    """Inputs (n, features), float32, as the network was trained on them.

    Args:
        path: csv, npy, npz (its array x) or IDX images, gzip-compressed or not. In npy and npz one input may
            stand alone, without an axis for the rows.
        features: inputs of the network.
        label: csv: name or number of a column to leave out, where the file has it.
        scale: `Dataset.scale` of the training data; raw numbers are multiplied by it (see `as_trained`).
        columns: csv: names of the columns that the network was trained on. A file with a header is read by them.

    Raises:
        DataError: the file cannot be read, or does not hold that many numbers a row.

    """
    with reading(path), path.open("rb") as f:
        start = f.read(6)
    if start.startswith((_NPY, _ZIP)):
        return _from_array(path, _array(path, start), features, scale)
    from neurond.data.idx import is_idx, read_idx

    if is_idx(start):
        return _from_array(path, read_idx(path, dims=3), features, scale)
    from neurond.data.table import read_table

    return as_trained(read_table(path, label=label, features=features, columns=columns).x, scale)


def as_trained(x: NDArray[Any], scale: float | None) -> NDArray[np.float32]:
    """Inputs of any shape and kind of number as the network was trained on them, float32.

    Raw pixels are multiplied by `scale`: uint8, and whole numbers of any kind of which one is above 1. Where `scale`
    is None, a full uint8 pixel becomes 1, and all else is taken as it is.
    """
    if x.dtype == np.uint8:
        return x * np.float32(uint8_scale(x) if scale is None else scale)
    inputs = x.astype(np.float32, copy=False)
    raw = scale is not None and inputs.max(initial=0) > 1 and bool((inputs == np.floor(inputs)).all())
    return inputs * np.float32(scale) if raw else inputs


def _array(path: Path, start: bytes) -> NDArray[Any]:
    from neurond.data.npz import Npz, read_npy

    if start.startswith(_NPY):
        return read_npy(path)
    with Npz(path) as npz:
        if "x" not in npz.names:
            raise DataError(f"{path}: no array x; it holds {', '.join(npz.names[:8]) or 'nothing'}")
        return npz.array("x")


def _from_array(path: Path, array: NDArray[Any], features: int, scale: float | None) -> NDArray[np.float32]:
    from neurond.data.arrays import as_inputs

    if array.ndim and array.size == features and array.shape[0] != 1:
        array = array[None]  # one input alone
    x = as_inputs(array, str(path))
    if x.shape[1] != features:
        raise DataError(f"{path}: {x.shape[1]} numbers a row, but the network reads {features}")
    return as_trained(x, scale)
