import gzip
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from neurond.data import DataError, describe, known, load

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FASHION_LABELS = [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
MNIST_LABELS = [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
IMAGES = np.random.RandomState(0).randint(256, size=(10, 20, 30))  # more bytes than the reader takes at first


def idx(array: np.ndarray) -> bytes:
    """An array as an IDX file."""
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def put(folder: Path, labels: list[int], *, packed: bool = True) -> Path:
    """Four files of a small data set: IMAGES with these labels to train on, the first four of them to test on."""
    folder.mkdir(parents=True, exist_ok=True)
    images = IMAGES[: len(labels)]
    for name, array in (
        (TRAIN_IMAGES, images),
        (TRAIN_LABELS, np.array(labels)),
        (TEST_IMAGES, images[:4]),
        (TEST_LABELS, np.array(labels[:4])),
    ):
        path = folder / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return folder


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own cache is not looked into."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NEUROND_DATA", raising=False)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["mnist", "MNIST/raw", "."])
def test_found_in_every_layout(tmp_path: Path, place: str, packed: bool) -> None:
    """A data folder may hold the files under the set's name, as torchvision leaves them, or itself."""
    put(tmp_path / "d" / place, MNIST_LABELS, packed=packed)
    data = load("mnist", data_dir=tmp_path / "d")
    np.testing.assert_array_equal(data.x_train, IMAGES.reshape(10, 600))
    np.testing.assert_array_equal(data.y_train, MNIST_LABELS)
    assert (data.x_train.dtype, data.y_train.dtype, data.scale) == (np.uint8, np.int64, 1 / 255)
    assert describe("mnist", data_dir=tmp_path / "d") == data.shape


def test_folders_are_looked_into_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named folder comes before NEUROND_DATA, and that before the user's cache."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("NEUROND_DATA", str(tmp_path / "env"))
    put(tmp_path / "cache" / "neurond" / "mnist", [1] * 10)
    assert load("mnist").y_train[0] == 1
    put(tmp_path / "env" / "mnist", [2] * 10)
    assert load("mnist").y_train[0] == 2
    put(tmp_path / "named" / "mnist", [3] * 10)
    assert load("mnist", data_dir=tmp_path / "named").y_train[0] == 3


def test_missing_says_where_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names each folder that was looked into, the one to put the files in, and the command to fetch."""
    monkeypatch.setenv("NEUROND_DATA", str(tmp_path / "env"))
    with pytest.raises(DataError) as e:
        describe("mnist", data_dir=tmp_path / "named")
    for part in (tmp_path / "named" / "mnist", tmp_path / "env", "neurond data fetch mnist"):
        assert str(part) in str(e.value)
    assert "\n" not in str(e.value)


def test_one_missing_file_is_named(tmp_path: Path) -> None:
    """Where most of the files are there, the error says which is not."""
    (put(tmp_path / "mnist", MNIST_LABELS) / (TEST_LABELS + ".gz")).unlink()
    with pytest.raises(DataError, match=f"mnist lacks {TEST_LABELS}.gz"):
        load("mnist", data_dir=tmp_path)


def test_one_set_is_not_taken_for_the_other(tmp_path: Path) -> None:
    """The sets' files have the same names; a folder that bears neither's name is known by its labels."""
    put(tmp_path, FASHION_LABELS)
    with pytest.raises(DataError, match="mnist is not on this machine"):
        load("mnist", data_dir=tmp_path)
    assert load("fashion-mnist", data_dir=tmp_path).classes[9] == "Ankle boot"


def damaged_cases() -> dict[str, tuple[str, bytes, str]]:
    """What can be wrong with a file: its name, its bytes, and part of the error."""
    images, labels = idx(IMAGES), idx(np.array(MNIST_LABELS))
    packed = gzip.compress(images)
    wrong_sum = bytearray(packed)
    wrong_sum[-5] ^= 1
    return {
        "truncated gzip": (TRAIN_IMAGES, packed[:-12], "truncated gzip"),
        "truncated at once": (TRAIN_IMAGES, packed[:14], "truncated gzip"),
        "gzip of half a file": (TRAIN_IMAGES, gzip.compress(images[:-1]), "cut short: 5999 of 10 x 20 x 30 bytes"),
        "half a file": (TRAIN_IMAGES, images[:50], "more than it can hold"),
        "damaged gzip": (TRAIN_IMAGES, packed[:3000] + b"\xff" * 8 + packed[3008:], "damaged gzip"),
        "wrong gzip checksum": (TRAIN_IMAGES, bytes(wrong_sum), "damaged gzip"),
        "too long": (TRAIN_IMAGES, gzip.compress(images + b"x"), "more bytes than the 10 x 20 x 30 it announces"),
        "after the gzip": (TRAIN_IMAGES, packed + b"x", "more bytes than the 10 x 20 x 30 it announces"),
        "wrong magic": (TRAIN_IMAGES, b"<htm" + images[4:], "not an IDX file"),
        "floats": (TRAIN_IMAGES, b"\0\0\x0d\3" + images[4:], "not an IDX file"),
        "swapped": (TRAIN_IMAGES, labels, "holds labels, not images; are the files swapped"),
        "empty": (TRAIN_IMAGES, b"", "empty"),
        "empty gzip": (TRAIN_IMAGES, gzip.compress(b""), "empty"),
        "header only": (TRAIN_IMAGES, images[:9], "cut short in its header"),
        "no images": (TRAIN_IMAGES, struct.pack(">4I", 0x803, 0, 2, 3), "nothing is in it"),
        "other count": (TEST_LABELS, idx(np.array([1, 2, 3])), "4 images but 3 labels"),
        "other pixels": (
            TEST_IMAGES,
            idx(np.zeros((4, 3, 3))),
            "images of 9 pixels, but those for training have 600",
        ),
        "out of range": (TRAIN_LABELS, idx(np.array([*[1] * 8, 10, 200])), "label 10 at row 9 is out of range"),
    }


@pytest.mark.parametrize("case", damaged_cases())
def test_damaged_files_are_one_clear_line(tmp_path: Path, case: str) -> None:
    """Whatever is wrong with a file, the error names the file and what is wrong, on one line."""
    name, content, message = damaged_cases()[case]
    put(tmp_path / "mnist", MNIST_LABELS)
    path = tmp_path / "mnist" / (name + ".gz")
    path.write_bytes(content)
    with pytest.raises(DataError) as e:
        load("mnist", data_dir=tmp_path)
    assert message in str(e.value)
    assert path.name in str(e.value)
    assert "\n" not in str(e.value)


def test_a_header_is_not_believed(tmp_path: Path) -> None:
    """A header that promises more than its file can hold costs no memory."""
    labels = struct.pack(">2I", 0x801, 2**32 - 1)
    images = struct.pack(">4I", 0x803, 2**32 - 1, 20, 30)
    put(tmp_path / "mnist", MNIST_LABELS)
    (tmp_path / "mnist" / (TRAIN_LABELS + ".gz")).write_bytes(labels)
    (tmp_path / "mnist" / (TRAIN_IMAGES + ".gz")).write_bytes(gzip.compress(images))
    with pytest.raises(DataError, match="announces 4294967295 bytes, more than it can hold"):
        load("mnist", data_dir=tmp_path)


def test_no_permission_is_one_clear_line(tmp_path: Path) -> None:
    """A file that may not be read is named."""
    path = put(tmp_path / "mnist", MNIST_LABELS) / (TRAIN_IMAGES + ".gz")
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    path.chmod(0)
    with _not_root(), pytest.raises(DataError, match=rf"{path.name}: no permission to read it"):
        load("mnist", data_dir=tmp_path)


def test_known_never_raises(tmp_path: Path) -> None:
    """The list of data sets says where each is found, or that it is not."""
    put(tmp_path / "mnist", MNIST_LABELS)
    where = {line.name: line.where for line in known(tmp_path)}
    assert where == {"digits": "built in", "xor": "built in", "mnist": str(tmp_path / "mnist"), "fashion-mnist": None}


def test_the_real_mnist(data_dir: Path) -> None:
    """All 70,000 images are read, in well under a second, and look as the original's first label and pixel sum do."""
    start = time.process_time()
    data = load("mnist", data_dir=data_dir)
    seconds = time.process_time() - start
    assert data.shape == describe("mnist", data_dir=data_dir)
    assert (data.shape.features, data.shape.train, data.shape.test) == (784, 60_000, 10_000)
    assert data.y_train[:10].tolist() == MNIST_LABELS
    assert data.x_train.mean() * data.scale == pytest.approx(0.1307, abs=1e-4)  # the mean that everyone subtracts
    assert seconds < 2  # of this process; 0.4 s were measured


@contextmanager
def _not_root() -> Iterator[None]:
    """Gives root's power to read everything up for a while; others have none to give up."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
