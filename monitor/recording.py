"""A recording: a file of what a broker said of a run, and when. Written as it comes, read as far as it is whole.

    neurond recording 1            a line that says what the file is
    zlib stream                    flushed after each record, and perhaps cut off anywhere
      f64 t_s, u32 n, n bytes      seconds since the first record, and a message of `wire.pack`, little-endian

The messages are telemetry and events as the feed has them, and the broker's answers to `status`, as replies without
an id. Whoever writes may be killed at any time: what was written before is read, and the reader says what is missing.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from topology import exits, wire
from topology.sockets import MAX_MESSAGE

MAGIC = b"neurond recording 1\n"
HEAD = struct.Struct("<dI")
CHUNK = 1 << 16  # bytes that are read, or unpacked, at once
FLUSHED = b"\x00\x00\xff\xff"
"""What zlib ends a flush with, and so each record."""
MOST_S = 1e9
"""No recording is as long."""

Message = wire.Telemetry | wire.Event | wire.Reply


class RecordingError(Exception):
    """A file is no recording, or cannot be written; the message is one line for the user."""

    exit_code = exits.FAILED


class Recorder:
    """A recording that is being written.

    Args:
        path: of the file, which must not be there yet.
        most: bytes that it may have; what does not fit is not written.

    Raises RecordingError if the file cannot be made.

    """

    def __init__(self, path: Path, most: float = float("inf")) -> None:
        self.path, self.messages, self.full = path, 0, False
        self._most = most
        self._packer = zlib.compressobj()
        try:
            self._file = path.open("xb", buffering=0)
        except FileExistsError:
            raise RecordingError(f"{path} is there already; choose another name, or remove it") from None
        except OSError as error:
            raise RecordingError(f"cannot write {path}: {error.strerror}") from error
        self.size = 0
        try:
            self._write(MAGIC)
        except RecordingError:  # a disk that is full: nothing is to be in the way of the next try
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def append(self, t_s: float, message: Message) -> None:
        """Write what came `t_s` after the first; nothing more once the file is `full`.

        Raises RecordingError if the disk does not take it.
        """
        if self.full:
            return
        packed = wire.pack(message)
        ready = self._packer.compress(HEAD.pack(t_s, len(packed)) + packed) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        if self.size + len(ready) > self._most:  # the stream has gone on without it, so nothing may follow
            self.full = True
            return
        self._write(ready)
        self.messages += 1

    def close(self) -> None:
        """Close the file; every record is in it already. One with none is removed."""
        self._file.close()
        if not self.messages:
            with suppress(OSError):
                self.path.unlink()

    def _write(self, data: bytes) -> None:
        try:
            written = self._file.write(data)
        except OSError as error:
            self.full = True
            raise RecordingError(f"cannot write {self.path}: {error.strerror}") from error
        self.size += written
        if written < len(data):  # the disk is full, or the file as large as it may be
            self.full = True
            raise RecordingError(f"cannot write {self.path}: {os.strerror(errno.ENOSPC)}")


class Recording:
    """A recording that is read, once, record by record.

    `torn` says, once all has been read, why there is no more, and is empty where the file was whole.
    Raises RecordingError if the file is no recording, or none that this version can read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.torn = path, ""
        self._end = b""  # of what was read
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordingError(f"cannot read {path}: {error.strerror}") from error
        try:
            head = self._read(len(MAGIC))
        except RecordingError:
            self._file.close()
            raise
        if head != MAGIC:
            self._file.close()
            ours = head.startswith(MAGIC.rpartition(b" ")[0])
            what = "of another version of neurond" if ours else "no recording of neurond's"
            raise RecordingError(f"{path} is {what}; neurond record makes one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[tuple[float, Message]]:
        """Each message and when it came, in seconds since the first; never going back.

        Raises RecordingError where the disk does not give it.
        """
        waiting, last_s = bytearray(), 0.0
        try:
            for data in self._unpacked():
                waiting += data
                while len(waiting) >= HEAD.size:
                    t_s, size = HEAD.unpack_from(waiting)
                    if size > MAX_MESSAGE or not last_s <= t_s <= MOST_S:
                        raise wire.WireError("a record that cannot be")
                    if len(waiting) < HEAD.size + size:
                        break
                    message = wire.unpack(bytes(waiting[HEAD.size : HEAD.size + size]))
                    if not isinstance(message, wire.Telemetry | wire.Event | wire.Reply):
                        raise wire.WireError("a message that no feed has")
                    if isinstance(message, wire.Reply) and not _is_status(message.data):
                        raise wire.WireError("an answer that no broker gives")
                    del waiting[: HEAD.size + size]
                    last_s = t_s
                    yield t_s, message
        except (zlib.error, wire.WireError) as error:
            self.torn = f"damaged after {last_s:.1f} s: {error}"
        else:
            self.torn = f"cut off after {last_s:.1f} s" if waiting or self._end != FLUSHED else ""

    def _unpacked(self) -> Iterator[bytes]:
        """The stream, a piece at a time: however well it is packed, no piece is large."""
        unpacker = zlib.decompressobj()
        while data := self._read(CHUNK):
            self._end = (self._end + data)[-len(FLUSHED) :]
            while data:
                yield unpacker.decompress(data, CHUNK)
                data = unpacker.unconsumed_tail
        yield unpacker.flush()

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:  # a folder, or a disk that fails
            raise RecordingError(f"cannot read {self.path}: {error.strerror}") from error


def _is_status(data: Mapping[str, Any]) -> bool:
    """Whether this says how a run stands, as those that watch it need it."""
    words = all(isinstance(data.get(key), str) for key in ("run", "run_dir", "state"))
    processes = data.get("processes")
    return words and isinstance(processes, dict) and all(isinstance(p, dict) for p in processes.values())
