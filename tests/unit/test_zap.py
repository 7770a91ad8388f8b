"""Who may connect where, and which key may say what: the policies, without a socket."""

from __future__ import annotations

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from broker.rights import BURST, RATE, REMEMBERED, Rates, may_say
from neurond.guard import Guard
from topology import wire
from topology.zap import CONTROL, FEED, INBOX, REPORTS, answer

KEYS = {name: zmq.curve_keypair()[0] for name in ("broker", "source", "h1", "monitor")}
OWNER = {key.decode(): name for name, key in KEYS.items()}.get


def asked(domain: bytes, key: bytes, mechanism: bytes = b"CURVE") -> list[bytes]:
    """The answer to a request as libzmq makes it."""
    request = [b"1.0", b"7", domain, b"127.0.0.1", b"", mechanism, z85.decode(key)]
    return answer(request, key.decode(), OWNER)


@pytest.mark.parametrize(
    ("name", "domains"),
    [
        ("source", {CONTROL, REPORTS, INBOX}),
        ("h1", {CONTROL, REPORTS, INBOX}),
        ("monitor", {CONTROL, FEED}),
        ("broker", {CONTROL, FEED}),
    ],
)
def test_who_may_connect_where(name: str, domains: set[bytes]) -> None:
    """Processes reach the broker and one another, clients the broker and what it tells; the User-Id is the key."""
    for domain in (CONTROL, REPORTS, FEED, INBOX, b"", b"elsewhere"):
        reply = asked(domain, KEYS[name])
        assert reply[:2] == [b"1.0", b"7"]
        assert reply[2] == (b"200" if domain in domains else b"400" if domain == CONTROL else b"300")
        assert reply[4] == (KEYS[name] if domain in domains else b"")


def test_a_stranger() -> None:
    """A key that nobody has is refused everywhere: at the broker's control socket for good, elsewhere for a while."""
    stranger, _ = zmq.curve_keypair()
    assert [asked(d, stranger)[2] for d in (CONTROL, REPORTS, FEED, INBOX)] == [
        b"400",
        b"300",
        b"300",
        b"300",
    ]
    assert asked(INBOX, KEYS["h1"], b"PLAIN")[2] == b"300"


@given(st.lists(st.binary(max_size=64), max_size=10), st.text(max_size=40) | st.sampled_from(sorted(KEYS)))
def test_any_request(frames: list[bytes], name: str) -> None:
    """Whatever a request is made of, the answer has six frames and lets nobody in."""
    reply = answer(frames, KEYS[name].decode() if name in KEYS else name, OWNER)
    assert len(reply) == 6
    assert reply[2] in (b"300", b"400", b"500")
    assert reply[4] == b""


def test_whose_frames_are_let_in() -> None:
    """A frame comes in if the key of its connection is that of the process at the other end of its link."""
    guard = Guard(OWNER, {3: "h1", 4: "source"})
    h1, source, monitor = (KEYS[name].decode() for name in ("h1", "source", "monitor"))
    assert guard.admits(h1, frame(3))
    assert guard.admits(source, frame(4))
    for key, data in (
        (source, frame(3)),
        (h1, frame(4)),
        (h1, frame(5)),
        (monitor, frame(3)),
        (h1, b"nd"),
        ("", frame(3)),
    ):
        assert not guard.admits(key, data)
    assert not Guard(lambda _: None, {}).admits(h1, frame(9))  # a revoked key on no link of ours


def frame(link: int) -> bytes:
    """A small frame of a link."""
    import numpy as np

    return wire.encode(wire.Closes(link, 1, 1, 0, 1, np.array([1])))


def test_which_key_may_say_what() -> None:
    """A process speaks for itself and may ask for the status; commands are for `monitor`."""
    hello, beat = wire.Hello("h1", "group", 1, "tcp://x:1"), wire.Beat(1)
    stop, status = wire.Command("1", "stop"), wire.Command("2", "status")
    assert may_say("h1", hello, None)
    assert not may_say("h2", hello, None)
    assert not may_say("monitor", hello, None)
    assert may_say("monitor", stop, None)
    assert not may_say("h1", stop, "h1")
    assert not may_say("broker", stop, None)
    assert all(may_say(name, status, None) for name in ("h1", "broker", "monitor"))
    assert may_say("h1", beat, "h1")
    assert not may_say("h2", beat, "h1")
    assert may_say("h1", wire.Reply("1", True), None)  # counted later, for nobody is registered there


def test_how_often_a_peer_may_ask() -> None:
    """So many at once, then so many a second; one that floods takes nothing from the others, however many come."""
    rates = Rates()
    assert sum(rates.allow("flood", 0.0) for _ in range(1000)) == BURST
    assert rates.allow("quiet", 0.0)
    assert sum(rates.allow("flood", 1.0) for _ in range(1000)) == RATE
    for peer in range(3 * REMEMBERED):
        assert rates.allow(peer, 2.0)
    assert len(rates._left) == REMEMBERED
