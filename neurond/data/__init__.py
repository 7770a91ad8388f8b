"""Data sets and their readers.

`load` gives a `Dataset`, `describe` its shape only, `known` what there is, `fetch` brings one here, and
`read_inputs` reads inputs without labels. Whatever is wrong with the user's data is a `DataError`, one line.

- dataset.py   what a data set is
- catalog.py   what a data set's name means
- embedded.py  digits, xor
- mnist.py     mnist, fashion-mnist, and where they are looked for; idx.py reads their files
- arrays.py    npz:PATH; npz.py reads the format
- table.py     csv:PATH
- inputs.py    inputs to predict from
- download.py  fetching

The source daemon imports this package, so it imports NumPy and little else; the rest comes when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurond.data.catalog import Known, absolute, describe, known, load
from neurond.data.dataset import DataError, Dataset

__all__ = ["DataError", "Dataset", "Known", "absolute", "describe", "fetch", "known", "load", "read_inputs"]


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    base_url: str | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Path:
    """Brings a data set to this machine; see `neurond.data.download.fetch`."""
    from neurond.data.download import fetch as download  # urllib is slow to import, and few runs need it

    return download(name, data_dir=data_dir, base_url=base_url, progress=progress)


def read_inputs(
    path: str | Path,
    features: int,
    label: str | None = None,
    *,
    scale: float | None = None,
    columns: Sequence[str] = (),
) -> NDArray[np.float32]:
    """Inputs to predict from; see `neurond.data.inputs.read_inputs`."""
    from neurond.data import inputs

    return inputs.read_inputs(Path(path), features, label, scale=scale, columns=columns)
