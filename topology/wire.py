"""Every message that processes exchange, and how each becomes bytes: `encode`/`decode`, `pack`/`unpack`.

On the data plane a message is one frame, a struct header and raw arrays (`frames.py`, `blocks.py`); on the
control plane it is one msgpack map (`packing.py`).

Whatever bytes arrive, decoding gives a message or `WireError`. Encoding a message that cannot travel is our
own fault and raises ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topology import frames, packing
from topology.blocks import Block, Buffer, encode_block, encode_steps
from topology.blocks import WireError as WireError
from topology.frames import CLOSES as CLOSES
from topology.frames import CONFIRMS as CONFIRMS
from topology.frames import MAX_SPAN as MAX_SPAN
from topology.frames import MAX_STIMULI as MAX_STIMULI
from topology.frames import NOTIFICATIONS as NOTIFICATIONS
from topology.frames import SPIKES as SPIKES
from topology.frames import TARGETS as TARGETS
from topology.frames import VERSION as VERSION
from topology.frames import kind_of as kind_of
from topology.frames import link_of as link_of

Ids = NDArray[np.int64]
Values = NDArray[np.float32]
Flags = NDArray[np.bool_]

EVALUATION = 1 << 62
"""Ids of evaluation stimuli begin here, so that those of training stimuli stay dense."""

IDS = 1 << 40
"""Ids of one incarnation of the source: those of the next begin so much higher."""


# --- data plane: one frame a message, struct header, raw arrays -------------------------------------


@dataclass(frozen=True, slots=True)
class Spikes:
    """pre -> post: activations of the pre process' neurons for some stimuli (a volley).

    `values` has a row a stimulus and a column a pre neuron. `teach` is false for evaluation stimuli.
    """

    link: int
    incarnation: int  # of the sender
    to: int  # incarnation of the receiver that it is meant for
    seq: int
    presentation: int
    teach: bool
    ids: Ids  # (n,)
    values: Values  # (n, n_pre)


@dataclass(frozen=True, slots=True)
class Targets:
    """source -> readout: what the loss compares with; a class index a row, or a target vector."""

    link: int
    incarnation: int
    to: int
    seq: int
    presentation: int
    teach: bool
    ids: Ids
    values: Values  # (n, 1) class index, or (n, n_out)


@dataclass(frozen=True, slots=True)
class Notifications:
    """post -> pre: part of dLoss/dActivation of the pre neurons.

    `closed` rows are the last for their stimulus.
    """

    link: int
    incarnation: int
    to: int
    seq: int
    presentation: int
    ids: Ids
    closed: Flags  # (n,)
    values: Values  # (n, n_pre)


@dataclass(frozen=True, slots=True)
class Closes:
    """post -> pre: nothing (more) will be sent for these stimuli."""

    link: int
    incarnation: int
    to: int
    seq: int
    presentation: int
    ids: Ids
    awaited: bool = True  # a gradient may have come back for them, so the source waits; if not, there is no hurry


@dataclass(frozen=True, slots=True)
class Confirms:
    """readout -> source: these stimuli were seen and count.

    `pending` rows sent a gradient, so closes will follow.
    """

    link: int
    incarnation: int
    to: int
    seq: int
    presentation: int
    teach: bool
    ids: Ids
    loss: Values  # (n,)
    hit: Flags  # (n,) argmax of the output is the target's class
    pending: Flags  # (n,)


DataMessage = Spikes | Targets | Notifications | Closes | Confirms


# --- control plane: msgpack maps over DEALER/ROUTER ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """process -> broker: I am here; my inbox is bound at `endpoint`. Sent again to register anew."""

    name: str
    role: str  # source | group
    pid: int
    endpoint: str
    incarnation: int = 0  # 0: give me one; else what I had before the broker was lost
    settings: dict[str, float] = field(default_factory=dict)  # that were changed while I ran, as they are now


@dataclass(frozen=True, slots=True)
class Welcome:
    """broker -> process: your incarnation and your part of the plan."""

    incarnation: int
    plan: dict[str, Any]
    run_dir: str
    resume: bool = False  # load the run folder's last checkpoint before the first spike
    recover: bool = False  # a process before this one held the name in this run: go on from what it left


@dataclass(frozen=True, slots=True)
class Refused:
    """broker -> process: you may not take part, and why. The process exits."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """broker -> process: you beat, but nobody of your name is you. Say hello again, with what you had."""


@dataclass(frozen=True, slots=True)
class Roster:
    """broker -> process: who is alive. `complete` once all processes of the plan are."""

    peers: dict[str, tuple[str, int]]  # name -> (endpoint, incarnation)
    complete: bool
    changes: int = 0  # how often somebody has come or gone, by this broker's count


@dataclass(frozen=True, slots=True)
class Beat:
    """process -> broker: sent by the loop that does the work, with a counter of work done."""

    progress: int


@dataclass(frozen=True, slots=True)
class Command:
    """client -> broker -> process: do this. `target` is a process name, or "" for all that it concerns."""

    id: str
    # pause | resume | stop | save | eval | status | get | set | kill | restart | tap; of the broker's own accord
    # also drain | exit | adopt
    verb: str
    target: str = ""
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """process -> broker -> client: what came of a command."""

    id: str
    ok: bool
    data: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """process -> broker -> monitors (and broker -> monitors): something happened."""

    name: str  # process that says so
    # running | epoch | evaluated | finished | diverged | joined | left | lost | saved | journal | failed |
    # leaving | ended | set | paused | resumed
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """process -> broker -> monitors: cumulative counters and gauges; a later one replaces an earlier one.

    A gauge that is not known is left out; so is one that is not finite, by `pack`.
    """

    name: str
    role: str
    incarnation: int
    seq: int
    counters: dict[str, int]
    gauges: dict[str, float]
    links: dict[str, dict[str, int]]  # link name -> cumulative counters of this end of it
    # Of a group, what up to 32 of its neurons did of late: a number a look, oldest first and evenly spaced, whose
    # bit i says whether the i-th of them spiked for the stimulus that was looked at.
    raster: list[int] = field(default_factory=list)


ControlMessage = Hello | Welcome | Refused | Unknown | Roster | Beat | Command | Reply | Event | Telemetry

_CONTROL: tuple[type, ...] = (Hello, Welcome, Refused, Unknown, Roster, Beat, Command, Reply, Event, Telemetry)


# --- messages to bytes and back -----------------------------------------------------------------------


def encode(message: DataMessage, coding: str = "fast", values: str = "float32") -> bytes:
    """The frame of a data message.

    Args:
        message: what to send. Its values are finite; the receiver refuses the frame otherwise.
        coding: `fast` or `small`, the link's choice of layout (`blocks.encode_block`).
        values: `float32`, `float16` or `uint8`, the link's number format. Targets and losses are always float32.

    Raises:
        ValueError: the message cannot travel: no stimulus or more than `frames.MAX_STIMULI`, ids that are
            negative or span 2**32, arrays of different lengths, a number too large for its field.

    """
    flags = 0
    block: Block | None = None
    bits: tuple[Flags, ...] = ()
    match m := message:
        case Spikes():
            kind, flags = SPIKES, frames.TEACH if m.teach else 0
            block = encode_block(m.values, coding, values)
        case Targets():
            kind, flags = TARGETS, frames.TEACH if m.teach else 0
            block = encode_block(m.values, coding, "float32")
        case Notifications():
            kind = NOTIFICATIONS
            block, bits = encode_block(m.values, coding, values), (m.closed,)
        case Closes():
            kind, flags = CLOSES, frames.AWAITED if m.awaited else 0
        case Confirms():
            kind, flags = CONFIRMS, frames.TEACH if m.teach else 0
            block, bits = encode_block(m.loss.reshape(-1, 1), "fast", "float32"), (m.hit, m.pending)
    return frames.build(kind, flags, m.link, m.presentation, m.incarnation, m.to, m.seq, m.ids, block, bits)


def encode_spikes_u8(
    link: int,
    incarnation: int,
    to: int,
    seq: int,
    presentation: int,
    teach: bool,
    ids: Ids,
    pixels: NDArray[np.uint8],
    scale: float,
    coding: str = "fast",
) -> bytes:
    """The frame of `Spikes` with the values ``scale * pixels``, exactly: images are sent as they are stored.

    `pixels` is (n, width) uint8, `scale` what one step of it is worth, above zero. All else is as in `Spikes`
    and `encode`. The source sends every image this way: neither it nor the wire holds a float a pixel.
    """
    flags = frames.TEACH if teach else 0
    block = encode_steps(pixels, scale, coding)
    return frames.build(SPIKES, flags, link, presentation, incarnation, to, seq, ids, block, ())


def decode(frame: Buffer) -> DataMessage:
    """The data message of a frame.

    Arrays may be views of `frame`, and are then read-only as it is. Values are finite and ids not negative;
    whether link, width and ids mean anything here is for the receiver to check.

    Raises:
        WireError: for any bytes that are not wholly one frame of this version.

    """
    kind, flags, link, presentation, incarnation, to, seq, ids, values, bits = frames.parse(frame)
    if values is None:
        return Closes(link, incarnation, to, seq, presentation, ids, flags == frames.AWAITED)
    teach = flags == frames.TEACH
    if kind == SPIKES:
        return Spikes(link, incarnation, to, seq, presentation, teach, ids, values)
    if kind == NOTIFICATIONS:
        return Notifications(link, incarnation, to, seq, presentation, ids, bits[0], values)
    if kind == TARGETS:
        return Targets(link, incarnation, to, seq, presentation, teach, ids, values)
    if values.shape[1] != 1:
        raise WireError(f"confirmations carry one loss a stimulus, not {values.shape[1]}")
    return Confirms(link, incarnation, to, seq, presentation, teach, ids, values[:, 0], *bits)


_codec = packing.Codec("neurond", VERSION, _CONTROL)


def pack(message: ControlMessage) -> bytes:
    """The bytes of a control message; ValueError if a field does not hold what it is declared to hold."""
    if isinstance(message, Telemetry):
        # A group whose weights overflow must still be able to report.
        message = replace(message, gauges={k: v for k, v in message.gauges.items() if isfinite(v)})
    return _codec.pack(message)


def unpack(data: bytes) -> ControlMessage:
    """The control message of some bytes; WireError for any bytes that are not wholly one of this version."""
    try:
        message: ControlMessage = _codec.unpack(data)
    except ValueError as e:
        raise WireError(str(e)) from e
    return message
