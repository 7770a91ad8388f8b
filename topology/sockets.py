"""Every socket of the project: its type, how much it holds, and what is lost when that is full. On tcp: its keys.

A link over a network must be back soon after the network is: a dead one is noticed by ZMTP heartbeats (libzmq's own
thread sends them, so a process that computes is not taken for a dead one), and connecting is tried again at least
once a second. Whoever connects has two seconds to prove a key.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import zmq

from topology import zap
from topology.address import AddressError, AddressInUse
from topology.keys import PUBLIC, Keyring, KeysError
from topology.names import Connection

if TYPE_CHECKING:
    from topology.gate import Gate

MAX_FRAME = 80 << 20  # bytes of a frame between groups; a longer one ends its connection before it takes memory here
MAX_MESSAGE = 16 << 20  # bytes of any other message, likewise
MAX_REQUEST = 1 << 16  # bytes of what a socket takes in that has nothing to take in but subscriptions, or nothing

MAX_TOPIC = 1024  # bytes of a subscription; no name is so long, but the handshake of CURVE takes a few hundred

BACKLOG = 128  # connections that wait to be accepted, a socket
HANDSHAKE_MS = 2000
HEARTBEAT_MS, SILENT_MS = 500, 2000
CONNECT_MS = 1000
RECONNECT_MS, RECONNECT_MAX_MS = 50, 1000
IPC_RECONNECT_MS, IPC_RECONNECT_MAX_MS = 20, 160  # often: it costs little, and a run may be short

_AUTH, _PROTOCOL = zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
FAILURES = _AUTH | _PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
EVENTS = 10_000  # of a monitor, that wait to be read; beyond that libzmq's thread waits too

_EVENT = struct.Struct("=HI")
_monitors = count()

S = TypeVar("S", bound=zmq.Socket[Any])


@dataclass(frozen=True, slots=True)
class Kind:
    """What all sockets for one purpose have in common; `loss` says in words what happens to a message too many."""

    type: int
    hwm: int  # messages a peer that wait, here or on their way out
    linger_ms: int  # how long what is still to be sent may keep a socket that is closed
    max_bytes: int  # of a message that comes in
    loss: str
    domain: bytes = b""  # of ZAP, where it is bound
    options: tuple[tuple[int, int], ...] = ()


INBOX = Kind(zmq.PULL, 1000, 0, MAX_FRAME, "the sender keeps it, and counts what it drops", zap.INBOX)
OUTBOX = Kind(zmq.PUSH, 1000, 200, MAX_REQUEST, "never blocks: it waits in a bounded outbox, the oldest dropped")
CONTROL = Kind(
    zmq.ROUTER,
    1000,
    0,
    MAX_MESSAGE,
    "an unknown or full peer is an error that is counted, never a wait",
    zap.CONTROL,
    # A peer that reconnects under its name is the same one; without handover it would be ignored for ever.
    ((zmq.ROUTER_MANDATORY, 1), (zmq.ROUTER_HANDOVER, 1)),
)
CONTROL_LINE = Kind(zmq.DEALER, 1000, 500, MAX_MESSAGE, "never blocks: dropped and counted; lingers for a last reply")
REPORTS = Kind(zmq.PULL, 1000, 0, MAX_MESSAGE, "it waits or is lost at the sender", zap.REPORTS)
REPORT_LINE = Kind(zmq.PUSH, 16, 0, MAX_REQUEST, "dropped and counted: counters are cumulative, a later one makes up")
FEED = Kind(
    zmq.XPUB,
    10_000,
    1000,
    MAX_TOPIC,
    "a subscriber too slow for so many loses; lingers for the last event",
    zap.FEED,
    ((zmq.XPUB_VERBOSE, 1),),
)
COMMAND_LINE = Kind(zmq.DEALER, 1000, 0, MAX_MESSAGE, "never blocks: dropped, and asked again")
FEED_LINE = Kind(zmq.SUB, 10_000, 0, MAX_MESSAGE, "lossy by design")


def bind(context: zmq.Context[S], kind: Kind, endpoint: str, gate: Gate | None) -> S:
    """A bound socket. With a gate, and on tcp, whoever connects must prove a key that the gate accepts.

    Raises ZMQError, and leaves no socket.
    """
    socket = _made(context, kind, endpoint)
    try:
        if gate is not None and _is_tcp(endpoint):
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_SECRETKEY, gate.keys.secret)
            socket.setsockopt(zmq.ZAP_DOMAIN, kind.domain)
            socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # or a gate that is gone would let everybody in
        socket.bind(endpoint)
    except zmq.ZMQError:
        socket.close(0)
        raise
    if gate is not None and _is_tcp(endpoint):
        gate.watch(socket)
    return socket


def bind_address(context: zmq.Context[S], kind: Kind, endpoint: str, gate: Gate | None) -> S:
    """As `bind`, of an endpoint that a user has named: AddressInUse, or AddressError where it cannot be bound."""
    try:
        return bind(context, kind, endpoint, gate)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUse(f"address in use: {endpoint}") from error
        why = zmq.strerror(error.errno or 0)
        if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
            why = "this machine has no such address; tcp://127.0.0.1:PORT is for itself, tcp://0.0.0.0:PORT for all"
        raise AddressError(f"cannot bind {endpoint}: {why}") from error


def connect(
    context: zmq.Context[S], kind: Kind, endpoint: str, keys: Keyring | None, server: str, identity: bytes = b""
) -> tuple[S, Connection]:
    """A socket that connects to the process `server`, and what keeps it connected: both are to be closed.

    With keys, and on tcp, it talks to the holder of the server's key alone.

    Raises KeysError if no key of the server is known, ZMQError; and leaves no socket.
    """
    socket = _made(context, kind, endpoint)
    try:
        if keys is not None and _is_tcp(endpoint):
            key = keys.key_of(server)
            if key is None:
                raise KeysError(f"no key of {server} in {keys.folder / PUBLIC}")
            socket.setsockopt(zmq.CURVE_SERVERKEY, key)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        if identity:
            socket.setsockopt(zmq.IDENTITY, identity)
        return socket, Connection(socket, endpoint)
    except (zmq.ZMQError, KeysError):
        socket.close(0)
        raise


def monitor(context: zmq.Context[S], socket: zmq.Socket[Any], events: int) -> S:
    """The PAIR on which libzmq tells such events of a socket; `told` reads it.

    `socket.monitor(None, 0)` before it is closed: libzmq's thread waits for ever for a reader that has gone.
    """
    at = f"inproc://monitor-{next(_monitors)}"
    socket.monitor(at, events)
    pair = context.socket(zmq.PAIR)
    pair.setsockopt(zmq.LINGER, 0)
    pair.setsockopt(zmq.RCVHWM, EVENTS)
    pair.connect(at)
    return pair


def told(pair: zmq.Socket[bytes], most: int) -> Iterator[tuple[int, int]]:
    """Up to so many events of a monitor, as (event, value)."""
    for _ in range(most):
        try:
            yield parse_event(pair.recv_multipart(zmq.NOBLOCK)[0])
        except zmq.Again:
            return


def parse_event(frame: bytes) -> tuple[int, int]:
    """Event and value of a message of a monitor."""
    event, value = _EVENT.unpack(frame)
    return event, value


def failure(event: int, value: int, at: str) -> tuple[str, bool]:
    """What a failed handshake with the broker at an address means, and whether it is final: libzmq tries no more.

    Where it is not, ask `greeting.differs`: libzmq tells of a mismatch only if it is the faster one to find it.
    """
    if event == _AUTH:
        return f"the broker at {at} refuses our key; it is revoked, or the broker's {PUBLIC} is an older one", True
    if event == _PROTOCOL and value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
        return mismatch(at), True
    if event == _PROTOCOL:
        return f"what answers at {at} is no broker of ours", True
    return f"somebody answers at {at}, but no handshake succeeds; is it the broker, with the key that we know?", False


def mismatch(at: str) -> str:
    """That one side has keys and the other has none, in words."""
    return f"the broker at {at} has keys and this process is --insecure, or the other way round"


def _made(context: zmq.Context[S], kind: Kind, endpoint: str) -> S:
    socket = context.socket(kind.type)
    socket.setsockopt(zmq.SNDHWM, kind.hwm)
    socket.setsockopt(zmq.RCVHWM, kind.hwm)
    socket.setsockopt(zmq.LINGER, kind.linger_ms)
    socket.setsockopt(zmq.MAXMSGSIZE, kind.max_bytes)
    for option, value in kind.options:
        socket.setsockopt(option, value)
    tcp = _is_tcp(endpoint)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS if tcp else IPC_RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS if tcp else IPC_RECONNECT_MAX_MS)
    if tcp:
        socket.setsockopt(zmq.BACKLOG, BACKLOG)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, SILENT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TTL, SILENT_MS)
        socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    return socket


def _is_tcp(endpoint: str) -> bool:
    return endpoint.startswith("tcp://")
