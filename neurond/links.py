"""The two ends of one direction of a link: every frame is numbered, and every one that is missing is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neurond.machine import Send
from topology.wire import MAX_SPAN, MAX_STIMULI, WireError

RESYNC = 4
"""Frames in a row by which a sender that seemed to repeat itself is believed: few, for a stalled window sends few."""
MAX_JUMP = 1 << 20
"""Frames that can be lost in one go; a larger jump is not believed at all."""
STEP = 64
"""Frames that can be lost in one go for one frame to be believed; a larger jump must be borne out by the next."""
FLOAT_BYTES = 4
"""What a dense pass would need for each of its values: float32."""

Ids = NDArray[np.int64]


class Early(Exception):  # noqa: N818 - nothing is wrong with it yet
    """A frame of an incarnation that the roster has yet to name, if there is one."""


class Outbound:
    """The sending end of one direction of a link: numbers every frame and counts what it carried.

    The numbers begin anew with each incarnation of the receiver, so a frame on its way to one that is gone is
    nothing that its successor could miss.
    """

    __slots__ = ("bytes", "dense", "incarnation", "sent", "seq", "to", "values")

    def __init__(self, to: str) -> None:
        self.to = to
        self.incarnation = 1  # of the receiver
        self.seq = 0  # the next frame's number
        self.sent = 0  # to all incarnations
        self.bytes = 0
        self.values = 0  # spikes, or notifications: what is not zero
        self.dense = 0  # those that a dense pass would have sent

    def meet(self, incarnation: int) -> None:
        """The roster says who the receiver is."""
        if incarnation != self.incarnation:
            self.incarnation, self.seq = incarnation, 0

    def carried(self, values: int, dense: int) -> None:
        """Count what a frame carries: values that are not zero, of so many that a dense pass would have sent."""
        self.values += values
        self.dense += dense

    def send(self, frame: bytes) -> Send:
        """Count a frame that was encoded with ``to=self.incarnation, seq=self.seq`` and hand it to the shell."""
        self.seq += 1
        self.sent += 1
        self.bytes += len(frame)
        return Send(self.to, frame)


class Inbound:
    """The receiving end of one direction of a link: order, gaps, duplicates and other incarnations.

    Frames are taken in order within one incarnation of the sender. A number that was jumped over is a gap: if
    that frame still comes, it is a late duplicate and is dropped, so that at any time
    received + gaps = the number after the last frame taken, and sent = received + gaps + in flight. Numbers begin
    anew with each incarnation of the sender; then `over` holds how far they had come.

    A jump that was false (a damaged header) would make a duplicate of every true frame after it, and where the
    window is small the true ones come only when their stimuli are presented again, ever more seldom. So a frame
    that jumps by more than a `STEP` is refused like a duplicate, and only if the next one goes on from it is the
    jump believed: the refused frame is then in the gap. That costs one frame more where more than a `STEP` are
    lost, and none where one number was false. Should such a lie be believed all the same (two that agree, or a
    small one), it is taken back when `RESYNC` frames in a row come in order from within its gap. A small one is no
    longer doubted once more than `RESYNC` frames have been taken since: it was a true loss, and vouches for no
    frame that is sent again.
    """

    __slots__ = (
        "_behind",
        "_doubted",
        "_jumps",
        "_last",
        "_told",
        "duplicates",
        "expected",
        "fenced",
        "gaps",
        "incarnation",
        "over",
        "received",
    )

    def __init__(self) -> None:
        self.incarnation = 0
        self.expected = 0
        self.over = 0  # numbers of the incarnations before
        self.received = 0
        self.gaps = 0
        self.duplicates = 0
        self.fenced = 0
        self._told = False
        self._behind = 0  # frames in a row that came in order, but behind the expected one
        self._last = -1  # number of the last of them
        self._doubted = -1  # the last that jumped too far to be believed alone, if none was taken since
        # Of late: the first number lost, the one after the last, and the frames taken before.
        self._jumps: deque[tuple[int, int, int]] = deque(maxlen=RESYNC)

    def meet(self, incarnation: int) -> None:
        """The roster says who the sender is: no other incarnation is heard from now on."""
        self._told = True
        if incarnation != self.incarnation:
            self._begin(incarnation)

    def accept(self, incarnation: int, seq: int) -> bool:
        """True if this frame is the next to be handled; all others are counted and are to be dropped.

        Raises WireError for a number so far ahead that no link has lost so much, Early for a frame that the next
        roster may vouch for.
        """
        if incarnation != self.incarnation:
            if incarnation < self.incarnation:
                self.fenced += 1
                return False
            if self._told:
                raise Early
            self._begin(incarnation)
        if seq - self.expected > MAX_JUMP:
            raise WireError(f"frame {seq} where {self.expected} is expected")
        if not (self._false_jump(seq) if seq < self.expected else self._plausible(seq)):
            self.duplicates += 1
            return False
        if seq > self.expected:
            self._jumps.append((self.expected, seq, self.received))
        elif seq < self.expected:
            self._jumps.clear()
        self.gaps += seq - self.expected
        self.expected = seq + 1
        self.received += 1
        self._behind = 0
        self._doubted = -1
        return True

    def _begin(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.over += self.expected
        self.expected = 0
        self._behind = 0
        self._last = self._doubted = -1
        self._jumps.clear()

    def _plausible(self, seq: int) -> bool:
        if seq - self.expected <= STEP or 0 < seq - self._doubted <= STEP:
            return True
        self._doubted = seq
        return False

    def _false_jump(self, seq: int) -> bool:
        self._behind = self._behind + 1 if seq == self._last + 1 else 1
        self._last = seq
        if self._behind < RESYNC or self.gaps < self.expected - seq:
            return False
        return any(
            start <= seq - RESYNC + 1 and seq < end and (end - start > STEP or self.received - before <= RESYNC)
            for start, end, before in self._jumps
        )


def link_counters(received: Inbound, sent: Outbound) -> dict[str, int]:
    """What one end of a link has counted, as telemetry carries it."""
    return {
        "sent": sent.sent,
        "bytes": sent.bytes,
        "values": sent.values,
        "dense": sent.dense,
        "dense_bytes": FLOAT_BYTES * sent.dense,
        "received": received.received,
        "gaps": received.gaps,
        "duplicates": received.duplicates,
        "fenced": received.fenced,
        # The ledger of the present pair: what one end has sent and the other has come to differ by what is in flight.
        "to": sent.incarnation,
        "seq": sent.seq,
        "from": received.incarnation,
        "expected": received.expected,
        # Numbers of the senders before: received + gaps = over + expected.
        "over": received.over,
    }


class Closing:
    """Closes on their way to the pre groups, gathered so that many leave in one frame.

    Those that somebody awaits leave as soon as the inbox is empty or the group fires, the others when the group has
    finished `bulk` stimuli of whatever kind since closes last left.
    """

    __slots__ = ("_awaited", "_bulk", "_finished", "_links")

    def __init__(self, links: int, bulk: int) -> None:
        self._bulk = bulk
        self._links: list[dict[tuple[int, bool], list[Ids]]] = [{} for _ in range(links)]
        self._finished = 0
        self._awaited = False

    @property
    def due(self) -> bool:
        """Whether somebody awaits one of them."""
        return self._awaited

    def finished(self, stimuli: int) -> bool:
        """Note that the group has finished so many stimuli; whether it is time for the closes to leave."""
        self._finished += stimuli
        return self._finished >= self._bulk

    def add(self, link: int, presentation: int, ids: Ids, awaited: bool) -> None:
        """Gather closes for the pre group of one link."""
        if len(ids):
            self._links[link].setdefault((presentation, awaited), []).append(ids)
            self._awaited |= awaited

    def take(self) -> Iterator[tuple[int, int, bool, Ids]]:
        """All of them, as (link, presentation, awaited, ids in order) that fit a frame each; then there are none."""
        gathered, self._links = self._links, [{} for _ in self._links]
        self._finished, self._awaited = 0, False
        for link, parts in enumerate(gathered):
            for (presentation, awaited), ids in parts.items():
                for fit in _frames_of(_in_order(ids)):
                    yield link, presentation, awaited, fit


def _in_order(parts: list[Ids]) -> Ids:
    """All ids of some parts, each of which is in order."""
    return parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))


def _frames_of(ids: Ids) -> Iterator[Ids]:
    """Ids in order, cut where no frame could hold them: honest ones are never so far apart, forged ones may be."""
    if len(ids) <= MAX_STIMULI and ids[0] // MAX_SPAN == ids[-1] // MAX_SPAN:
        yield ids
        return
    spans = np.flatnonzero(np.diff(ids // MAX_SPAN)) + 1
    for part in np.split(ids, spans):
        for at in range(0, len(part), MAX_STIMULI):
            yield part[at : at + MAX_STIMULI]
