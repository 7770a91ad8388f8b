"""The gate of a process, with real sockets: it lets in whom it knows, counts the others, and never stops the loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.keyed import Intruder, pair_of
from tests.waiting import comes
from topology import sockets
from topology.gate import Gate
from topology.issue import issue, revoke
from topology.keys import PUBLIC, Keyring, KeysError


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Keys of a source and a group."""
    issue(tmp_path / "keys", ["source", "hidden"])
    return tmp_path / "keys"


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A context that must be left with no socket."""
    with zmq.Context() as made:
        yield made


async def test_who_is_let_in_and_who_is_counted(
    keys: Path, context: zmq.Context[zmq.Socket[bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A key of ours comes in under its own User-Id; a stranger, a plain client and a wrong key come to nothing.

    One that is revoked later keeps its connection, under a key that is nobody's any more, and gets no new one.
    """
    ring = Keyring(keys, "hidden")
    gate = Gate(context, ring)
    inbox = sockets.bind(context, sockets.INBOX, "tcp://127.0.0.1:*", gate)
    gate.open()
    at = inbox.getsockopt_string(zmq.LAST_ENDPOINT)
    others = [
        Intruder(sockets.OUTBOX, at, ring.public, says=[b"stranger"]),
        Intruder(sockets.OUTBOX, at, None, says=[b"plain"]),
        Intruder(sockets.OUTBOX, at, zmq.curve_keypair()[0], says=[b"wrong"]),
    ]
    await comes(lambda: gate.denied >= 3 and all(other.events() for other in others), "three are turned away")
    for other in others:
        assert zmq.EVENT_HANDSHAKE_SUCCEEDED not in other.events()
        other.close()
    pair = pair_of(keys, "source")
    source, _ = sockets.connect(context, sockets.OUTBOX, at, Keyring(keys, "source"), "hidden")
    source.send(b"mine")
    await comes(lambda: inbox.poll(0), "a frame of the source")
    frame = inbox.recv(copy=False)
    assert (frame.bytes, ring.owner(str(frame.get("User-Id")))) == (b"mine", "source")
    assert not inbox.poll(0)
    revoke(keys, "source")
    assert gate.refresh()
    source.send(b"still")
    await comes(lambda: inbox.poll(0), "a frame on the connection that there is")
    assert ring.owner(str(inbox.recv(copy=False).get("User-Id"))) is None
    denied = gate.denied
    with Intruder(sockets.OUTBOX, at, ring.public, pair, says=[b"again"]):
        await comes(lambda: gate.denied > denied, "it is turned away")
    assert not inbox.poll(0)
    assert "hidden: 1 connections denied so far: no key, or one that is not accepted" in capsys.readouterr().err
    source.close(0)
    gate.close()
    inbox.close()


async def test_a_gate_that_is_gone_lets_nobody_in(keys: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """A bound socket with nobody to ask refuses all, whoever they are."""
    gate = Gate(context, Keyring(keys, "hidden"))
    inbox = sockets.bind(context, sockets.INBOX, "tcp://127.0.0.1:*", gate)
    gate.close()
    at = inbox.getsockopt_string(zmq.LAST_ENDPOINT)
    with Intruder(sockets.OUTBOX, at, gate.keys.public, pair_of(keys, "source"), says=[b"mine"]) as source:
        await comes(source.events, "it is turned away")
        assert zmq.EVENT_HANDSHAKE_SUCCEEDED not in source.events()
    assert not inbox.poll(0)
    inbox.close()


async def test_a_damaged_list_is_said_once(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of keys that cannot be read is one line in the log, and the gate goes on with what it knows."""
    with zmq.Context() as context:
        gate = Gate(context, Keyring(keys, "hidden"))
        (keys / PUBLIC).write_text("nonsense")
        assert not gate.refresh()
        assert not gate.refresh()
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"hidden: {keys / PUBLIC}:1: should be NAME KEY")
        assert gate.keys.key_of("source") is not None
        gate.close()


def test_a_server_without_a_key(keys: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """There is no connecting to somebody whose key is not known, and no socket is left of the try."""
    with pytest.raises(KeysError, match="no key of broker in "):
        sockets.connect(context, sockets.CONTROL_LINE, "tcp://127.0.0.1:1", Keyring(keys, "hidden"), "broker")


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:*", "ipc://{folder}/s"])
@pytest.mark.parametrize("kind", [sockets.INBOX, sockets.CONTROL, sockets.REPORTS, sockets.FEED])
def test_every_bound_socket_is_bounded(
    kind: sockets.Kind, endpoint: str, scratch: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    """Messages have a largest size and a queue an end everywhere; on tcp a dead peer and a slow handshake do too."""
    with sockets.bind(context, kind, endpoint.format(folder=scratch), None) as socket:
        assert 0 < socket.getsockopt(zmq.MAXMSGSIZE) <= sockets.MAX_FRAME
        assert 0 < socket.getsockopt(zmq.RCVHWM) <= 10_000
        assert 0 < socket.getsockopt(zmq.SNDHWM) <= 10_000
        assert socket.getsockopt(zmq.LINGER) >= 0
        if endpoint.startswith("tcp"):
            assert socket.getsockopt(zmq.HANDSHAKE_IVL) == 2000
            assert socket.getsockopt(zmq.HEARTBEAT_IVL) == 500
    (scratch / "s").unlink(missing_ok=True)
