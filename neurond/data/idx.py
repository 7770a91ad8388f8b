"""IDX files, the format of MNIST, plain or gzip-compressed.

Two zero bytes, a type (8 is uint8, the only one read here), the number of dimensions, each dimension as a
big-endian uint32, then the bytes (http://yann.lecun.com/exdb/mnist). A header's counts are believed only
where the file is long enough to hold them, so a broken file never takes more memory than it could fill.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurond.data.dataset import DataError, reading

_GZIP = b"\x1f\x8b"
_GZIP_FORMAT = 31  # zlib's window size for "deflate inside gzip"
_DEFLATE_LIMIT = 1032  # no deflate stream grows by more than this (zlib's technical notes)
_MAX_DIMS = 4
_FIRST = 4096  # bytes that hold the header, compressed or not


def is_idx(start: bytes) -> bool:
    """Whether a file that begins with these bytes is IDX, or gzip that may hold it."""
    return start[:2] == _GZIP or start[:3] == b"\x00\x00\x08"


def idx_shape(path: Path, dims: int) -> tuple[int, ...]:
    """The shape an IDX file announces, from its first bytes. Arguments and errors as `read_idx`."""
    with reading(path), path.open("rb") as f:
        start = f.read(_FIRST)
    return _shape(path, _Bytes(path, start, whole=len(start) < _FIRST), dims)


def read_idx(path: Path, dims: int) -> NDArray[np.uint8]:
    """The array in an IDX file of `dims` dimensions, read-only uint8.

    Raises DataError: not IDX, another number of dimensions, cut short, too long, damaged, empty.
    """
    with reading(path):
        data = path.read_bytes()
    content = _Bytes(path, data, whole=True)
    shape = _shape(path, content, dims)
    wanted = math.prod(shape)
    if wanted > content.most:
        raise DataError(f"{path}: announces {_times(shape)} bytes, more than it can hold; fetch it again")
    body = content.take(wanted)
    if len(body) < wanted:
        raise DataError(f"{path}: cut short: {len(body)} of {_times(shape)} bytes; fetch it again")
    if not content.ended():
        raise DataError(f"{path}: more bytes than the {_times(shape)} it announces; fetch it again")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _shape(path: Path, content: _Bytes, dims: int) -> tuple[int, ...]:
    magic = content.take(4)
    if not magic:
        raise DataError(f"{path}: empty; fetch it again")
    if len(magic) < 4 or magic[:3] != b"\x00\x00\x08" or not 1 <= magic[3] <= _MAX_DIMS:
        raise DataError(f"{path}: not an IDX file (it begins with {magic.hex()}, not {2048 + dims:08x})")
    if magic[3] != dims:
        holds = {1: "labels", 3: "images"}
        raise DataError(
            f"{path}: holds {holds.get(magic[3], f'{magic[3]} dimensions')}, not "
            f"{holds.get(dims, f'{dims} dimensions')}; are the files swapped?"
        )
    sizes = content.take(4 * dims)
    if len(sizes) < 4 * dims:
        raise DataError(f"{path}: cut short in its header; fetch it again")
    shape: tuple[int, ...] = struct.unpack(f">{dims}I", sizes)
    if 0 in shape:
        raise DataError(f"{path}: announces {_times(shape)} bytes: nothing is in it")
    return shape


class _Bytes:
    """The bytes of a file, taken from the front, unpacked on the way where they are gzip."""

    def __init__(self, path: Path, data: bytes, *, whole: bool) -> None:
        self._path = path
        self._rest = memoryview(data)
        self._whole = whole
        self._gzip = zlib.decompressobj(_GZIP_FORMAT) if data[:2] == _GZIP else None
        self.most = len(data) * (_DEFLATE_LIMIT if self._gzip else 1)

    def take(self, n: int) -> memoryview | bytes:
        """The next `n` bytes, fewer where the file ends."""
        if self._gzip is None:
            taken, self._rest = self._rest[:n], self._rest[n:]
            return taken
        parts = []
        while n > 0 and not self._gzip.eof:
            try:
                part = self._gzip.decompress(self._rest, n)
            except zlib.error as e:
                raise DataError(f"{self._path}: damaged gzip ({e}); fetch it again") from None
            self._rest = memoryview(self._gzip.unconsumed_tail)
            if not part:
                break
            parts.append(part)
            n -= len(part)
        if n > 0 and self._whole and not self._gzip.eof:
            raise DataError(f"{self._path}: truncated gzip; fetch it again")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def ended(self) -> bool:
        """Whether nothing is left; checks gzip's own checksum on the way. Raises DataError if it fails."""
        if self.take(1):
            return False
        return self._gzip is None or not self._gzip.unused_data
