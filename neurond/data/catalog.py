"""What a data set's name in a topology means: the one place that knows every kind of `spec`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from neurond.data import embedded, mnist
from neurond.data.dataset import DataError, Dataset, did_you_mean
from topology.plan import DataShape


class Known(NamedTuple):
    """A line of `neurond data list`."""

    name: str
    where: str | None  # folder, or "built in"; None: not on this machine
    description: str
    size: int  # bytes to fetch; 0 for what is built in
    fetch: str  # the command that fetches it; empty for what is built in


def load(
    spec: str,
    *,
    data_dir: str | Path | None = None,
    label: str | None = None,
    test: float | None = None,
    seed: int = 0,
) -> Dataset:
    """The data set that `spec` names: `digits`, `xor`, `mnist`, `fashion-mnist`, `npz:PATH` or `csv:PATH`.

    Args:
        spec: the name. A relative PATH starts from the current directory.
        data_dir: the first folder in which to look for mnist and fashion-mnist.
        label: csv: the name of the label's column, or its number from 1; the last one where None.
        test: share of the rows to hold out, where the data has no test part of its own; a fifth where None.
        seed: chooses the rows of npz and csv that are held out.

    Raises:
        DataError: no such data set, or its files cannot be used.

    """
    kind, path = _parse(spec, label)
    if kind == "csv":
        from neurond.data.table import load_csv  # late: the source of a built-in set needs no csv reader

        return load_csv(path, label=label, test=test, seed=seed)
    if kind == "npz":
        from neurond.data.arrays import load_npz

        return load_npz(path, test=test, seed=seed)
    if kind == "digits":
        return embedded.digits(test)
    if kind == "xor":
        return embedded.xor()
    return mnist.load_idx_set(mnist.IDX_SETS[kind], data_dir)


def describe(
    spec: str, *, data_dir: str | Path | None = None, label: str | None = None, test: float | None = None
) -> DataShape:
    """The shape of the data set that `load` would return, from headers alone where the format has them.

    csv has none and is read whole. Arguments and errors are those of `load`.
    """
    kind, path = _parse(spec, label)
    if kind == "csv":
        return load(spec, label=label, test=test).shape
    if kind == "npz":
        from neurond.data.arrays import describe_npz

        return describe_npz(path, test=test)
    if kind == "digits":
        return embedded.digits_shape(test)
    if kind == "xor":
        return embedded.xor_shape()
    return mnist.describe_idx_set(mnist.IDX_SETS[kind], data_dir)


def absolute(spec: str) -> str:
    """`spec` with the whole path of its file, so that it means the same from every folder."""
    kind, path = _parse(spec, None)
    return f"{kind}:{path.absolute()}" if kind in ("csv", "npz") else spec


def known(data_dir: str | Path | None = None) -> list[Known]:
    """The data sets that have a name, and where each was found. Never raises."""
    lines = [
        Known("digits", "built in", "1,797 handwritten digits of 8 x 8, 10 classes (UCI)", 0, ""),
        Known("xor", "built in", "exclusive or, 2 inputs, 2 classes", 0, ""),
    ]
    for idx_set in mnist.IDX_SETS.values():
        try:
            where = str(mnist.find(idx_set, data_dir)[mnist.TRAIN_IMAGES].parent)
        except DataError:
            where = None
        fetch = mnist.command("fetch", idx_set.name, data_dir)
        lines.append(Known(idx_set.name, where, idx_set.description, idx_set.size, fetch))
    return lines


def idx_set(name: str) -> mnist.IdxSet:
    """The fetchable data set of that name. Raises DataError, with a guess, where there is none."""
    if name in mnist.IDX_SETS:
        return mnist.IDX_SETS[name]
    if name in embedded.EMBEDDED:
        raise DataError(f"{name} is built in; there is nothing to fetch")
    fetchable = list(mnist.IDX_SETS)
    raise DataError(f"no data set {name!r} to fetch (known: {', '.join(fetchable)}){did_you_mean(name, fetchable)}")


def _parse(spec: str, label: str | None) -> tuple[str, Path]:
    """`spec` as (kind, path); the path means something for `csv` and `npz` only."""
    kind, colon, path = spec.partition(":")
    if colon and kind in ("csv", "npz"):
        if not path:
            raise DataError(f"data {spec!r}: the path of the file is missing; write {kind}:PATH")
        if "\0" in path:
            raise DataError(f"data {spec!r}: a path has no NUL in it")
        if kind == "npz" and label is not None:
            raise DataError(f"data {spec!r}: label {label!r} is for csv; an npz has its labels in y")
        try:
            return kind, Path(path).expanduser()
        except RuntimeError:  # ~ of a user whom nobody knows
            return kind, Path(path)
    if not colon and spec in (*embedded.EMBEDDED, *mnist.IDX_SETS):
        return spec, Path()
    for suffix in ("csv", "npz"):
        if spec.lower().endswith(f".{suffix}"):
            raise DataError(f"no data set {spec!r}, did you mean {f'{suffix}:{path or spec}'!r}?")
    names = [*embedded.EMBEDDED, *mnist.IDX_SETS]
    raise DataError(
        f"no data set {spec!r} (known: {', '.join(names)}, npz:PATH, csv:PATH){did_you_mean(spec, names)}"
    )
