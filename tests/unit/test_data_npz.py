import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neurond.data import DataError, Dataset, describe, load

X = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)
Y = np.arange(10) % 2


def npz(folder: Path, **arrays: object) -> str:
    """The spec of an npz file with these arrays."""
    np.savez_compressed(folder / "d.npz", **arrays)
    return f"npz:{folder / 'd.npz'}"


def rows(data: Dataset) -> list[tuple[object, object]]:
    """The (input, target) pairs of both parts, in an order that does not depend on the split."""
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    return sorted(zip(x.tolist(), y.tolist(), strict=True))


def test_without_a_test_part_some_rows_are_held_out(tmp_path: Path) -> None:
    """Arrays x and y are split, every row goes to one side with its own label, and uint8 stays pixels."""
    spec = npz(tmp_path, x=X, y=Y)
    data = load(spec, test=0.3)
    assert rows(data) == sorted(zip(X.reshape(10, 6).tolist(), Y.tolist(), strict=True))
    assert (data.shape.train, data.shape.test) == (7, 3)
    assert (data.x_train.dtype, data.scale, data.classes) == (np.uint8, 1 / 255, ("0", "1"))
    assert describe(spec, test=0.3) == data.shape


def test_the_seed_chooses_the_held_out_rows(tmp_path: Path) -> None:
    """The same seed holds the same rows out; another seed, others."""
    spec = npz(tmp_path, x=X, y=Y)
    one, again, other = load(spec, seed=1), load(spec, seed=1), load(spec, seed=2)
    np.testing.assert_array_equal(one.x_test, again.x_test)
    assert not np.array_equal(one.x_test, other.x_test)


def test_with_a_test_part_nothing_is_moved(tmp_path: Path) -> None:
    """x_train, y_train, x_test and y_test are taken as they are."""
    spec = npz(tmp_path, x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3])
    data = load(spec)
    np.testing.assert_array_equal(data.x_train, X.reshape(10, 6))
    np.testing.assert_array_equal(data.y_train, Y)
    np.testing.assert_array_equal(data.x_test, X[:3].reshape(3, 6))
    assert describe(spec) == data.shape


@pytest.mark.parametrize(
    ("y", "classes", "indices"),
    [
        (Y.astype(np.float64), ("0", "1"), Y),
        (Y.astype(bool), ("0", "1"), Y),
        (Y[:, None].astype(np.uint8), ("0", "1"), Y),
        (Y * 5 - 2, ("-2", "3"), Y),
        (np.array(["no", "yes"])[Y], ("no", "yes"), Y),
        (np.eye(3)[Y], ("0", "1", "2"), Y),
    ],
    ids=["whole floats", "booleans", "a column", "with gaps", "words", "one-hot"],
)
def test_labels_are_classes(tmp_path: Path, y: np.ndarray, classes: tuple[str, ...], indices: np.ndarray) -> None:
    """Words, whole numbers and one-hot rows name classes, in sorted order."""
    spec = npz(tmp_path, x_train=X, y_train=y, x_test=X, y_test=y)
    data = load(spec)
    assert data.classes == classes
    np.testing.assert_array_equal(data.y_train, indices)
    assert data.y_train.dtype == np.int64
    assert describe(spec) == data.shape


@pytest.mark.parametrize(("y", "targets"), [(Y + 0.5, 1), (np.ones((10, 3)) / 3, 3), (np.full((10, 2), 7), 2)])
def test_fractions_and_vectors_are_a_regression(tmp_path: Path, y: np.ndarray, targets: int) -> None:
    """Labels that can be no classes are float32 targets, a row a target vector."""
    data = load(npz(tmp_path, x_train=X, y_train=y, x_test=X, y_test=y))
    assert (data.classes, data.shape.classes, data.shape.targets) == ((), 0, targets)
    assert data.y_train.dtype == np.float32
    np.testing.assert_allclose(data.y_train, y.reshape(10, -1))


@pytest.mark.parametrize("dtype", [">f8", "<i4", "f2", "?"])
def test_other_numbers_are_taken_as_they_are(tmp_path: Path, dtype: str) -> None:
    """Numbers other than uint8 become float32 of the same value and keep scale 1."""
    x = np.asfortranarray(X.reshape(10, 6)).astype(dtype)
    data = load(npz(tmp_path, x_train=x, y_train=Y, x_test=x, y_test=Y))
    assert (data.x_train.dtype, data.scale) == (np.float32, 1.0)
    assert data.x_train.flags.c_contiguous
    np.testing.assert_array_equal(data.x_train, x.astype(float))


def test_binary_uint8_is_not_taken_for_pixels(tmp_path: Path) -> None:
    """uint8 with nothing above 1 is 0 and 1 to the network, not a very dark image."""
    assert load(npz(tmp_path, x=X % 2, y=Y)).scale == 1.0


NAN_X = np.where(np.arange(60).reshape(10, 6) == 20, np.nan, 1.0)
BAD: dict[str, tuple[dict[str, object], str]] = {
    "NaN": ({"x": NAN_X, "y": Y}, r"d.npz: x\[3\] has nan at position 2; inputs must be finite"),
    "too large": ({"x": np.full((10, 2), 1e300), "y": Y}, r"x\[0\] has 1e\+300"),
    "NaN label": ({"x": X, "y": np.array([0.5] * 9 + [np.nan])}, r"y\[9\] is nan; labels must be finite"),
    "objects": ({"x": X, "y": np.array([None] * 10)}, "y: an array of Python objects"),
    "words as inputs": ({"x": np.full((10, 2), "a"), "y": Y}, "x: <U1 values; numbers are needed"),
    "flat x": ({"x": np.ones(10), "y": Y}, r"x: its shape is \(10,\)"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, r"y is int64 of shape \(0,\)"),
    "no columns": ({"x": X.reshape(10, 6)[:, :0], "y": Y}, r"x: its shape is \(10, 0\)"),
    "one row": ({"x": X[:1], "y": np.array([0.5])}, "1 rows are too few"),
    "counts differ": ({"x": X, "y": Y[:9]}, "x has 10 rows, but y has 9"),
    "one class": ({"x": X, "y": Y * 0}, "every label is '0'"),
    "an id as label": (
        {"x": np.ones((30, 2)), "y": np.arange(30)},
        "30 different labels in 30 rows are too many to be classes",
    ),
    "other arrays": ({"images": X, "labels": Y}, "needs arrays x, y or x_train.*; it holds images, labels"),
    "half a split": ({"x_train": X, "y_train": Y, "x_test": X}, "it holds x_train, y_train, x_test"),
    "unseen label": (
        {"x_train": X, "y_train": Y, "x_test": X, "y_test": np.full(10, 7)},
        r"y_test\[0\] is out of range: y_train has no label 7",
    ),
    "other features": ({"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y}, "x_test has 3 values a row"),
    "other dtype": (
        {"x_train": X, "y_train": Y, "x_test": X / 2, "y_test": Y},
        "x_test is float32, but x_train is uint8",
    ),
    "other labels": ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y / 2}, "y_test is float64"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_one_clear_line(tmp_path: Path, case: str) -> None:
    """The error names the file, the array and what is wrong with it."""
    arrays, message = BAD[case]
    with pytest.raises(DataError, match=message) as e:
        load(npz(tmp_path, **arrays))
    assert "d.npz" in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "case", ["counts differ", "one class", "no columns", "other features", "unseen label", "one row"]
)
def test_describe_refuses_what_load_refuses(tmp_path: Path, case: str) -> None:
    """What does not fit together is found before a run is started."""
    arrays, message = BAD[case]
    with pytest.raises(DataError, match=message):
        describe(npz(tmp_path, **arrays))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A pickle inside an npz file, which could run any code, is refused before it is read."""
    spec = npz(tmp_path, x=X, y=np.array([{"a": 1}] * 10, object))
    with pytest.raises(DataError, match="Python objects"):
        load(spec)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file", b"PK\x03\x04" + b"x" * 100])
def test_what_is_no_npz_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    """A file of another kind is named as such."""
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"d.npz: not a sound npz file"):
        load(f"npz:{tmp_path / 'd.npz'}")


def test_a_header_is_not_believed(tmp_path: Path) -> None:
    """An array whose header promises terabytes is refused at once."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 784)})
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as z:
        z.writestr("x.npy", header.getvalue() + b"\0" * 80)
        z.writestr("y.npy", header.getvalue() + b"\0" * 80)
    with pytest.raises(DataError, match="y: cut short or damaged"):
        load(f"npz:{tmp_path / 'd.npz'}")
