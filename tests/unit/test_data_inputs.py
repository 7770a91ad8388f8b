import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from neurond.data import DataError, read_inputs

X = np.arange(12, dtype=np.uint8).reshape(3, 4)


def save(folder: Path, kind: str) -> Path:
    """X in a file of this kind."""
    path = folder / "x"
    images = struct.pack(">4I", 0x803, 3, 2, 2) + X.tobytes()
    match kind:
        case "idx":
            path.write_bytes(images)
        case "idx.gz":
            path.write_bytes(gzip.compress(images))
        case "npy":
            with path.open("wb") as f:
                np.save(f, X.reshape(3, 2, 2))
        case "npz":
            with path.open("wb") as f:
                np.savez(f, x=X)
        case "csv":
            path.write_text("a,b,c,d\n" + "\n".join(",".join(map(str, row)) for row in X.tolist()))
    return path


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "npy", "npz", "csv"])
def test_raw_pixels_are_scaled_as_in_training(tmp_path: Path, kind: str) -> None:
    """Whatever the file is called, its first bytes tell its kind, and the scale of training makes the input."""
    x = read_inputs(save(tmp_path, kind), 4, scale=1 / 16)
    np.testing.assert_allclose(x, X / 16)
    assert x.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64])
def test_raw_pixels_are_raw_whatever_holds_them(tmp_path: Path, dtype: type) -> None:
    """Whole numbers above 1 are pixels, also where a program has made other numbers of them."""
    np.save(tmp_path / "x.npy", X.astype(dtype))
    np.testing.assert_allclose(read_inputs(tmp_path / "x.npy", 4, scale=1 / 16), X / 16)


@pytest.mark.parametrize(("kind", "full"), [("idx", 255), ("npy", 255), ("npz", 255), ("csv", 1)])
def test_without_a_scale_only_uint8_is_scaled(tmp_path: Path, kind: str, full: int) -> None:
    """A full uint8 pixel is 1; a csv is taken as it is."""
    np.testing.assert_allclose(read_inputs(save(tmp_path, kind), 4), X / full, rtol=1e-6)


def test_inputs_that_are_ready_are_left_alone(tmp_path: Path) -> None:
    """Floats, and tables with a fraction in them, are not scaled again."""
    ready = X / np.float32(16)
    np.save(tmp_path / "x.npy", ready)
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.npy", 4, scale=1 / 16), ready)
    np.savetxt(tmp_path / "x.csv", ready, delimiter=",")
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.csv", 4, scale=1 / 16), ready)


@pytest.mark.parametrize("shape", [(4,), (2, 2), (1, 4), (1, 2, 2)])
def test_one_input_may_stand_alone(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A single input needs no axis for the rows."""
    np.save(tmp_path / "x.npy", np.ones(shape))
    assert read_inputs(tmp_path / "x.npy", 4).shape == (1, 4)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a,b,y\n1.5,2,cat\n", "y"),
        ("a,y,b\n1.5,cat,2\n", "y"),
        ("a,b\n1.5,2\n", "y"),
        ("a,b\n1.5,2\n", None),
        ("1.5,2\n", None),
        ("cat,1.5,2\n", "1"),
        ("1.5,2\n", "1"),
    ],
)
def test_a_label_column_is_left_out_where_it_is(tmp_path: Path, text: str, label: str | None) -> None:
    """The label's column is dropped when it is named and there; a file without it is as good."""
    (tmp_path / "x.csv").write_text(text)
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.csv", 2, label), [[1.5, 2]])


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("b,a\n2,1.5\n", None),
        ("y,b,a\ncat,2,1.5\n", "y"),
        ("b;y;a\n2;;1.5\n", "y"),  # a label that is not known yet
        ("1.5,2\n", "y"),  # no header: in the order of training
    ],
)
def test_columns_are_read_by_their_names(tmp_path: Path, text: str, label: str | None) -> None:
    """A file with a header is read by the names of training, in whatever order, and its label passed over."""
    (tmp_path / "x.csv").write_text(text)
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.csv", 2, label, columns=("a", "b")), [[1.5, 2]])


def test_columns_that_are_named_by_numbers(tmp_path: Path) -> None:
    """A header of numbers is one where it holds the names of training."""
    (tmp_path / "x.csv").write_text("1991,1990\n2,1.5\n")
    np.testing.assert_array_equal(read_inputs(tmp_path / "x.csv", 2, columns=("1990", "1991")), [[1.5, 2]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,c\n1,2\n", r"no column is named 'bee', which the network reads$"),
        ("a,bees\n1,2\n", r"no column is named 'bee', which the network reads, did you mean 'bees'\?$"),
        ("a,bee,a\n1,2,3\n", r"more than one column is named 'a', which the network reads"),
        ("a,id,bee\n1,7,2\n", r"column 2 \(id\) is none that the network reads; remove it$"),
        ("bee,y,a\n1,cat,two\n", r"line 2, column 3 \(a\): 'two' is not a number$"),
        ("bee,y,a\n1,cat,nan\n", r"line 2, column 3 \(a\): NaN; a number is needed$"),
    ],
)
def test_columns_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    """A column that is missing or too many is named in one line, and a bad cell by where it stands in the file."""
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message) as e:
        read_inputs(tmp_path / "x.csv", 2, "y", columns=("a", "bee"))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b,y\n1,2,cat\n", r"3 columns of inputs, but the network reads 2; name the label's column"),
        (b"1\n2\n", r"1 columns of inputs, but the network reads 2"),
        (b"a,b\n1,nan\n", r"line 2, column 2 \(b\): NaN"),
        (b"", r"x: empty"),
        (b"\x93NUMPY\x01", r"not a sound npy file"),
        (b"PK\x03\x04", r"not a sound npz file"),
        (struct.pack(">4I", 0x803, 1, 2, 2) + bytes(4), r"4 numbers a row, but the network reads 2"),
        (struct.pack(">2I", 0x801, 4) + bytes(4), r"holds labels, not images"),
        (gzip.compress(b"hello"), r"not an IDX file"),
    ],
)
def test_bad_inputs_are_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    """The error names the file and what does not fit the network."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message) as e:
        read_inputs(tmp_path / "x", 2)
    assert str(tmp_path / "x") in str(e.value)
    assert "\n" not in str(e.value)


def test_an_npz_without_x_says_what_it_holds(tmp_path: Path) -> None:
    """The array that is read is named, and those that are there."""
    np.savez(tmp_path / "x.npz", images=X)
    with pytest.raises(DataError, match="no array x; it holds images"):
        read_inputs(tmp_path / "x.npz", 4)
