"""Who may connect where: the answer to a ZAP request (RFC 27), and nothing else. Pure.

The User-Id of a connection is the public key itself, not the name that it belonged to when it connected: whose it is
is looked up with every message, so that a key that is revoked falls silent on connections that it has already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from topology.plan import BROKER, MONITOR

CONTROL, REPORTS, FEED, INBOX = b"control", b"reports", b"feed", b"inbox"
"""Domains: the broker's ROUTER, its PULL for telemetry and its XPUB, and the inbox of a process."""

_CLIENTS = frozenset({MONITOR, BROKER})  # the broker's own process writes the run's folder from the feed
_FOR_CLIENTS = frozenset({CONTROL, FEED})
_FOR_PROCESSES = frozenset({CONTROL, REPORTS, INBOX})

_OK, _LATER, _NO, _FAULT = b"200", b"300", b"400", b"500"


def turns_away(reply: Sequence[bytes]) -> bool:
    """Whether a reply lets nobody in."""
    return reply[2] != _OK


def answer(request: Sequence[bytes], key: str, owner: Callable[[str], str | None]) -> list[bytes]:
    """The reply to a ZAP request, whatever its bytes; a request that is none is refused.

    Args:
        request: its frames.
        key: the public key that its credentials are, as text (Z85); empty where they are none.
        owner: tells whose a public key is, None for one that is not accepted (`Keyring.owner`).

    A key that is not accepted hears so at the broker's control socket alone: there its owner is told, and gives up.
    Elsewhere the connection ends without a word after a while (300), and the other side tries again by itself: its
    key may be newer than the list that we have read.

    """
    if len(request) != 7 or request[0] != b"1.0":
        return [b"1.0", request[1] if len(request) > 1 else b"", _FAULT, b"not ZAP 1.0", b"", b""]
    _, number, domain, _, _, mechanism, _ = request
    name = owner(key)
    open_to = _FOR_CLIENTS if name in _CLIENTS else _FOR_PROCESSES
    if mechanism == b"CURVE" and name is not None and domain in open_to:
        return [b"1.0", number, _OK, b"OK", key.encode(), b""]
    return [b"1.0", number, _NO if domain == CONTROL else _LATER, b"not accepted", b"", b""]
