"""Readers against whatever a file may hold: a data set or a DataError, and the same rows that were written."""

import csv
import gzip
import io
import struct
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from neurond.data import DataError, Dataset, describe, load, read_inputs
from neurond.data.dataset import held_out, split
from neurond.data.idx import read_idx
from topology.plan import DataShape


def in_file(content: bytes, action: Callable[[Path], object]) -> object:
    """What `action` makes of a file with this content; None where it is refused, with one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(content)
        try:
            return action(path)
        except DataError as e:
            message = str(e)
    assert "\n" not in message
    assert str(path) in message
    return None


def is_sound(result: object) -> bool:
    """Whether what a reader gives keeps its promises: finite inputs, a target for each, classes that have a name."""
    if isinstance(result, Dataset):
        parts = ((result.x_train, result.y_train), (result.x_test, result.y_test))
        known = not result.classes or all(y.max() < len(result.classes) for _, y in parts)
        return known and all(len(x) == len(y) > 0 and bool(np.isfinite(x).all()) for x, y in parts)
    if isinstance(result, DataShape):
        return min(result.features, result.targets, result.train, result.test) > 0
    return result is None or bool(np.isfinite(np.asarray(result)).all())


def npz() -> bytes:
    """A sound npz file."""
    f = io.BytesIO()
    np.savez_compressed(f, x=np.arange(40, dtype=np.uint8).reshape(10, 4), y=np.arange(10) % 3)
    return f.getvalue()


IDX = struct.pack(">4I", 0x803, 5, 2, 2) + bytes(range(20))
SOUND = {
    "idx": IDX,
    "gzip": gzip.compress(IDX, mtime=0),
    "npz": npz(),
    "csv": b"a,b,y\n1,2,cat\n3,4,dog\n5,6,cat\n",
}
READERS: dict[str, list[Callable[[Path], object]]] = {
    "idx": [lambda p: read_idx(p, dims=3), lambda p: read_inputs(p, 4)],
    "gzip": [lambda p: read_idx(p, dims=3), lambda p: read_inputs(p, 4)],
    "npz": [lambda p: load(f"npz:{p}"), lambda p: describe(f"npz:{p}"), lambda p: read_inputs(p, 4)],
    "csv": [lambda p: load(f"csv:{p}"), lambda p: describe(f"csv:{p}"), lambda p: read_inputs(p, 2, "y")],
}


@pytest.mark.parametrize("kind", SOUND)
@given(data=st.data())
def test_damage_never_escapes(kind: str, data: st.DataObject) -> None:
    """A sound file that is cut, overwritten or lengthened anywhere is read or refused with one line."""
    content = bytearray(SOUND[kind])
    start = data.draw(st.integers(0, len(content)))
    content[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    assert all(is_sound(in_file(bytes(content[:end]), read)) for read in READERS[kind])


@given(content=st.binary(max_size=200) | st.text(alphabet='0123,.;-ae"\n\t ', max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Every reader takes any bytes whatsoever and gives a result or a DataError."""
    assert all(is_sound(in_file(content, read)) for readers in READERS.values() for read in readers)


@given(
    array=nps.arrays(np.uint8, nps.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)), packed=st.booleans()
)
def test_idx_round_trip(array: np.ndarray, packed: bool) -> None:
    """An IDX file gives back the array that was written."""
    content = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()
    read = in_file(gzip.compress(content) if packed else content, lambda p: read_idx(p, dims=array.ndim))
    assert isinstance(read, np.ndarray)
    np.testing.assert_array_equal(read, array)


cells = st.floats(-1e6, 1e6, width=32)
words = st.text(st.characters(categories=["L", "P", "Zs"], exclude_characters="\x00"), min_size=1, max_size=8).map(
    lambda word: f"w{word}".strip()
)


@given(
    rows=st.lists(st.tuples(cells, cells, words), min_size=2, max_size=12),
    label=st.integers(0, 2),
    delimiter=st.sampled_from(",;\t|"),
)
def test_csv_round_trip(rows: list[tuple[float, float, str]], label: int, delimiter: str) -> None:
    """The rows of a csv file come back, in some order, with their labels by name, wherever the label's column is."""
    table = [["a", "b"], *([repr(a), repr(b)] for a, b, _ in rows)]
    for line, word in zip(table, ["name", *(word for *_, word in rows)], strict=True):
        line.insert(label, word)
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL).writerows(table)
    classes = len({word for *_, word in rows})
    data = in_file(text.getvalue().encode(), lambda p: load(f"csv:{p}", label="name"))
    if classes == 1:
        assert data is None
        return
    x = np.concatenate([data.x_train, data.x_test]).tolist()
    names = [data.classes[i] for i in np.concatenate([data.y_train, data.y_test])]
    assert Counter((*pair, name) for pair, name in zip(x, names, strict=True)) == Counter(rows)


@given(n=st.integers(2, 500), test=st.floats(0, 1, exclude_min=True, exclude_max=True), seed=st.integers(0, 2**63))
def test_a_split_is_a_partition(n: int, test: float, seed: int) -> None:
    """Every row is either trained on or tested on, and neither part is empty, whatever the share and the seed."""
    n_test = held_out(n, test, "rows")
    train, tested = split(n, n_test, seed)
    assert sorted([*train.tolist(), *tested.tolist()]) == list(range(n))
    assert len(tested) == n_test
    assert 1 <= n_test < n
