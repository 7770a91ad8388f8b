"""The npz and npy formats, read with care: nothing is unpickled, no header believed before it is checked."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from neurond.data.dataset import DataError, reading

_DEFLATE_LIMIT = 1032  # no deflate stream grows by more than this (zlib's technical notes)


class Npz:
    """An npz file that is open for reading; a context manager. Its methods raise DataError, nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path), _sound(str(path), "npz"):
            self._zip = zipfile.ZipFile(path)
        self.names = [name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy")]

    def __enter__(self) -> Npz:
        return self

    def __exit__(self, *raised: object) -> None:
        self._zip.close()

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, from its header."""
        with self._open(name) as (member, size):
            return _header(member, size, f"{self.path}: {name}")[0]

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype of an array, from its header."""
        with self._open(name) as (member, size):
            return _header(member, size, f"{self.path}: {name}")[2]

    def array(self, name: str) -> NDArray[Any]:
        """An array, C-contiguous."""
        with self._open(name) as (member, size):
            return _array(member, size, f"{self.path}: {name}")

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        with reading(self.path), _sound(f"{self.path}: {name}", "npz"):
            info = self._zip.getinfo(name + ".npy")
            if info.file_size > info.compress_size * _DEFLATE_LIMIT:
                raise DataError(f"{self.path}: {name} is damaged; save it again")
            with self._zip.open(info) as member:
                yield member, info.file_size


def read_npy(path: Path) -> NDArray[Any]:
    """The array in an npy file, C-contiguous. Raises DataError where it is not one, or holds objects."""
    with reading(path), _sound(str(path), "npy"), path.open("rb") as f:
        return _array(f, path.stat().st_size, str(path))


def _array(f: IO[bytes], size: int, where: str) -> NDArray[Any]:
    shape, fortran, dtype = _header(f, size, where)
    data = f.read()  # to the end, so that zip checks its checksum
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array.astype(dtype.newbyteorder("="), copy=False))


def _header(f: IO[bytes], size: int, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype of the array that follows; its bytes are what is left of `size`."""
    version = npy.read_magic(f)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{where}: npy version {version[0]}.{version[1]} is not read; save it as 1.0")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(f)
    if dtype.hasobject:
        raise DataError(f"{where}: an array of Python objects (dtype object); store numbers or text instead")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size - f.tell():
        raise DataError(f"{where}: cut short or damaged: the header says {shape} of {dtype}; save it again")
    return shape, fortran, dtype


_BROKEN = (EOFError, KeyError, NotImplementedError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


@contextmanager
def _sound(where: str, kind: str) -> Iterator[None]:
    """Turns every way in which zip and NumPy refuse a broken file into a DataError."""
    try:
        yield
    except DataError:
        raise
    except _BROKEN as e:
        what = " ".join(str(e).split()) or type(e).__name__
        raise DataError(f"{where}: not a sound {kind} file ({what})") from None
    except MemoryError:
        raise DataError(f"{where}: too large for this machine's memory") from None
