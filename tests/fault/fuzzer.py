"""A deterministic fuzzer: bytes that were real, and are changed as chance or malice would change them.

Half of what it gives is damaged blindly (bits, bytes, lengths, cuts, splices, other versions, noise), the other half
is well-formed and lies: a real message with some of its fields replaced, encoded anew.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import msgpack
import numpy as np

from topology import wire

HEAD = 48
"""Bytes of both headers of a frame: most of what can go wrong is there."""
LENGTHS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 4095, 4096, 4097, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS = (*LENGTHS, 2**33, 2**40, 2**62, 2**63 - 1)
MAGICS = (
    b"nd\x00",
    b"nd\x02",
    b"nd\xff",
    b"ND\x01",
    b"GET",
    b"\x16\x03\x01",
    b"\xff\x00\x00",
    b"PK\x03",
    b"\x00\x00\x00",
)
"""Other versions of ours, and what other programs begin with."""


class Fuzzer:
    """Makes bytes out of real ones.

    Args:
        seed: the same gives the same bytes.
        real: what is changed, and spliced with one another.

    """

    def __init__(self, seed: int, real: Sequence[bytes]) -> None:
        self._rng = random.Random(seed)
        self._real = real

    def pick(self) -> bytes:
        """One of the real ones."""
        return self._rng.choice(self._real)

    def damaged(self, data: bytes) -> bytes:
        """The same bytes with one to three things wrong with them."""
        for _ in range(self._rng.choice((1, 1, 2, 3))):
            data = self._rng.choice(_WAYS)(self, data)
        return data

    def lie(self, data: bytes) -> bytes:
        """The data message of a frame with some of its fields replaced, as a frame; it may not be possible."""
        rng, message = self._rng, wire.decode(data)
        values = {}
        for name in rng.sample([f.name for f in fields(message)], rng.choice((1, 1, 2, 3))):
            values[name] = self._false(getattr(message, name), len(message.ids), name)
        try:
            return wire.encode(replace(message, **values), rng.choice(("fast", "small")))
        except ValueError:
            return self.damaged(data)

    def said(self, message: wire.ControlMessage) -> bytes:
        """A control message as bytes, with some of its fields replaced; types are kept, mostly."""
        rng = self._rng
        body = {f.name: getattr(message, f.name) for f in fields(message)}
        for name in rng.sample(list(body), min(len(body), rng.choice((0, 1, 1, 2)))):
            body[name] = self._other(body[name])
        kind = type(message).__name__.lower()
        envelope = {"neurond": wire.VERSION, "kind": kind, "body": body}
        if rng.random() < 0.05:
            envelope[rng.choice(list(envelope))] = self._other(0)
        try:
            data: bytes = msgpack.packb(envelope)
        except (ValueError, OverflowError):
            return self.pick()
        return data

    # --- damage ---------------------------------------------------------------------------------------

    def _place(self, data: bytes, size: int = 1) -> int:
        """Where to change so many bytes, in the headers as often as behind them."""
        end = len(data) - size
        return self._rng.randint(0, max(0, end if self._rng.random() < 0.5 else min(end, HEAD)))

    def _bit(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._place(data)
        return data[:at] + bytes([data[at] ^ 1 << self._rng.randrange(8)]) + data[at + 1 :]

    def _byte(self, data: bytes) -> bytes:
        at = self._place(data)
        return (
            data[:at] + bytes([self._rng.choice((0, 1, 0x7F, 0x80, 0xFF, self._rng.randrange(256)))]) + data[at + 1 :]
        )

    def _length(self, data: bytes) -> bytes:
        form = self._rng.choice(("<H", "<I", "<q", ">H", ">I"))
        size = struct.calcsize(form)
        at = self._place(data, size)
        number = self._rng.choice(LENGTHS) & (1 << 8 * size - 1) - 1
        return data[:at] + struct.pack(form, number) + data[at + size :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._rng.randint(0, len(data))]

    def _grow(self, data: bytes) -> bytes:
        return data + self._rng.randbytes(self._rng.choice((1, 2, 8, 64, 1024)))

    def _drop(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + data[at + self._rng.choice((1, 2, 4, 16)) :]

    def _repeat(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + data[at : at + 64] * self._rng.choice((2, 3, 17)) + data[at:]

    def _splice(self, data: bytes) -> bytes:
        other = self.pick()
        return data[: self._rng.choice((32, HEAD, self._place(data)))] + other[self._place(other) :]

    def _version(self, data: bytes) -> bytes:
        return self._rng.choice(MAGICS) + data[3:]

    def _noise(self, data: bytes) -> bytes:
        return self._rng.choice((b"", data[:4], data[:HEAD])) + self._rng.randbytes(self._rng.randrange(200))

    # --- lies -----------------------------------------------------------------------------------------

    def _false(self, value: Any, n: int, name: str) -> Any:
        rng = self._rng
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            near = value + rng.choice((-2, -1, 1, 2, 50, 100))
            small = near % 2**16 if name != "seq" else max(0, near)
            return rng.choice((small, small, rng.choice(NUMBERS) % (2**63 if name == "seq" else 2**16)))
        if value.dtype == np.int64:
            base = rng.choice((0, int(value[0]), int(value[0]) + rng.randrange(5000), *NUMBERS[-5:]))
            ids = np.minimum(base, 2**63 - 1 - 10 * n) + np.arange(n) * rng.choice((0, 1, 1, 2, 7))
            return ids if rng.random() < 0.8 else ids[::-1].copy()
        if value.dtype == np.bool_:
            return np.array([rng.random() < 0.5 for _ in range(n)])
        scale = np.float32(rng.choice((0.0, -1.0, 1e-40, 1e30, 3e38)))
        if value.ndim == 1:
            return np.full(n, scale, np.float32)
        width = rng.choice((value.shape[1], value.shape[1], value.shape[1] + 1, 1))
        return np.full((n, width), scale, np.float32)

    def _other(self, value: Any) -> Any:
        rng = self._rng
        if rng.random() < 0.2:
            return rng.choice(
                (None, -1, 1.5, float("nan"), float("inf"), "", b"\x00", [], {}, [[[]]], {"a": {"b": []}})
            )
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return rng.choice((*NUMBERS, 2**64 - 1, -1))
        if isinstance(value, str):
            return rng.choice(
                ("", "b", "source", "\x00", "ä" * 100, "x" * 70_000, value + "x", "../../x", "failed", "exit")
            )
        if isinstance(value, dict):
            key = rng.choice(("why", "timeout_s", "evaluate", "telemetry", "incarnation", "x" * 50))
            return {**value, key: rng.choice((None, 0, -1, "x", [], {}, float("inf"), 1e308, 2**63 - 1))}
        return rng.choice(NUMBERS)


_WAYS = (
    Fuzzer._bit,
    Fuzzer._byte,
    Fuzzer._length,
    Fuzzer._cut,
    Fuzzer._grow,
    Fuzzer._drop,
    Fuzzer._repeat,
    Fuzzer._splice,
    Fuzzer._version,
    Fuzzer._noise,
)
