"""MNIST and the sets that share its format: four IDX files, found on this machine.

A folder holds them under the set's name (`DIR/mnist/FILE`), as torchvision leaves them (`DIR/MNIST/raw/FILE`)
or itself (`DIR/FILE`), each file compressed or not.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurond.data.dataset import PIXEL, DataError, Dataset, Inputs, Targets
from neurond.data.idx import idx_shape, read_idx
from topology.plan import DataPlan, DataShape

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that can be fetched."""

    name: str
    size: int  # bytes
    md5: str
    content_md5: str = ""  # of the unpacked file, so that one packed by other means passes too; may be unknown


@dataclass(frozen=True, slots=True)
class IdxSet:
    """A data set of four IDX files: training images and labels, test images and labels."""

    name: str
    description: str
    classes: tuple[str, ...]
    url: str  # of the folder that holds the files
    files: tuple[RemoteFile, ...]
    torchvision: str  # the folder that torchvision keeps it in
    first_labels: bytes  # of the training part; tells the sets apart, for their files have the same names

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(f.size for f in self.files)


IDX_SETS = {
    s.name: s
    for s in (
        IdxSet(
            name="mnist",
            description="70,000 handwritten digits of 28 x 28, 10 classes",
            classes=tuple("0123456789"),
            url="https://ossci-datasets.s3.amazonaws.com/mnist",
            files=(
                RemoteFile(
                    TRAIN_IMAGES, 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"
                ),
                RemoteFile(
                    TRAIN_LABELS, 28_881, "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"
                ),
                RemoteFile(
                    TEST_IMAGES, 1_648_877, "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"
                ),
                RemoteFile(
                    TEST_LABELS, 4_542, "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"
                ),
            ),
            torchvision="MNIST",
            first_labels=bytes((5, 0, 4, 1, 9, 2, 1, 3, 1, 4)),
        ),
        IdxSet(
            name="fashion-mnist",
            description="70,000 pieces of clothing of 28 x 28, 10 classes",
            classes=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            url="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            files=(
                RemoteFile(TRAIN_IMAGES, 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
                RemoteFile(TRAIN_LABELS, 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
                RemoteFile(TEST_IMAGES, 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
                RemoteFile(TEST_LABELS, 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
            ),
            torchvision="FashionMNIST",
            first_labels=bytes((9, 0, 0, 3, 0, 2, 7, 2, 5, 5)),
        ),
    )
}


def data_folders(data_dir: str | Path | None) -> list[Path]:
    """Where data sets are looked for, first one first: `data_dir`, NEUROND_DATA, the user's cache."""
    folders = [Path(data_dir)] if data_dir else []
    if named := os.environ.get("NEUROND_DATA"):
        folders.append(Path(named))
    if sys.platform == "darwin":
        folders.append(Path("~/Library/Caches/neurond"))
    else:
        folders.append(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "neurond")
    return list(dict.fromkeys(Path(os.path.expanduser(f)) for f in folders))  # noqa: PTH111 - no home: no error


def find(idx_set: IdxSet, data_dir: str | Path | None) -> dict[str, Path]:
    """The four files of a data set, by their names in `IdxSet.files`.

    Raises DataError that says where it looked, where to put the files, and how to fetch them.
    """
    folders = data_folders(data_dir)
    lacking = ""
    for folder in folders:
        for place in (folder / idx_set.name, folder / idx_set.torchvision / "raw", folder):
            found = {f.name: path for f in idx_set.files if (path := _present(place, f.name))}
            if len(found) == len(idx_set.files):
                if place != folder or not _is_another(idx_set, found[TRAIN_LABELS]):
                    return found
            elif found and not lacking:
                missing = [f.name for f in idx_set.files if f.name not in found]
                lacking = f"; {place} lacks {', '.join(missing)}"
    raise DataError(
        f"{idx_set.name} is not on this machine; looked in {', '.join(map(str, folders))}{lacking}; "
        f"fetch it with `{command('fetch', idx_set.name, data_dir)}`, "
        f"or put its four files into {folders[0] / idx_set.name}"
    )


def command(verb: str, name: str, data_dir: str | Path | None) -> str:
    """What to type to fetch or show a data set, where it is looked for first."""
    named = data_dir is not None and str(data_dir) != os.environ.get("NEUROND_DATA")
    return f"neurond data {verb} {name}" + (f" --data-dir {data_dir}" if named else "")


def load_idx_set(idx_set: IdxSet, data_dir: str | Path | None) -> Dataset:
    """The data set from its four files. Raises DataError as `find` and `read_idx`, or where they differ."""
    found = find(idx_set, data_dir)
    shape = _shape(idx_set, found)

    def part(images: str, labels: str) -> tuple[Inputs, Targets]:
        y = _labels(found[labels], len(idx_set.classes))
        return read_idx(found[images], dims=3).reshape(-1, shape.features), y

    x_train, y_train = part(TRAIN_IMAGES, TRAIN_LABELS)
    x_test, y_test = part(TEST_IMAGES, TEST_LABELS)
    return Dataset(x_train, y_train, x_test, y_test, PIXEL, idx_set.classes)


def describe_idx_set(idx_set: IdxSet, data_dir: str | Path | None) -> DataShape:
    """The shape of the data set, from the files' headers alone."""
    return _shape(idx_set, find(idx_set, data_dir))


def _shape(idx_set: IdxSet, found: dict[str, Path]) -> DataShape:
    sizes = []
    for images, labels in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)):
        n, height, width = idx_shape(found[images], dims=3)
        (n_labels,) = idx_shape(found[labels], dims=1)
        if n != n_labels:
            raise DataError(f"{found[images]}: {n} images but {n_labels} labels in {found[labels].name}")
        sizes.append((n, height * width))
    (train, features), (test, test_features) = sizes
    if features != test_features:
        raise DataError(
            f"{found[TEST_IMAGES]}: images of {test_features} pixels, but those for training have {features}"
        )
    reading = DataPlan(PIXEL, classes=idx_set.classes)
    return DataShape(features, len(idx_set.classes), targets=1, train=train, test=test, reading=reading)


def _labels(path: Path, classes: int) -> NDArray[np.int64]:
    y = read_idx(path, dims=1).astype(np.int64)
    if y.max() >= classes:
        row = int(np.argmax(y >= classes))
        raise DataError(
            f"{path}: label {y[row]} at row {row + 1} is out of range; the classes are 0 to {classes - 1}"
        )
    return y


def _present(folder: Path, name: str) -> Path | None:
    """The file in `folder`, compressed or not. os.path, because a forbidden folder is not an error here."""
    for candidate in (folder / name, folder / name.removesuffix(".gz")):
        if os.path.isfile(candidate):  # noqa: PTH113
            return candidate
    return None


def _is_another(idx_set: IdxSet, train_labels: Path) -> bool:
    """Whether a folder that bears no set's name holds another set than this one."""
    try:
        first = read_idx(train_labels, dims=1)[:10].tobytes()
    except DataError:
        return False  # whoever loads it says what is wrong with it
    return any(first == other.first_labels for other in IDX_SETS.values() if other is not idx_set)
