"""Connections to peers by host name, looked up beside the loop and looked up again, for a host may move.

libzmq would look a name up in the one thread that moves all messages of a process, each time it connects. The name
of a container that is gone is answered by nobody: then every link stands still for seconds, and so does the end of
the process. So libzmq is only ever given numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zmq

LOOK_UP_S = 1.0
"""Between two look-ups of a name: a peer that came back at another address is found about as soon."""


class Connection:
    """Keeps a socket connected to an endpoint, wherever the host of that name is.

    Args:
        socket: connected at once where the endpoint holds no name, else as soon as the name is known. Until then a
            send finds no peer, as it does before a peer is bound.
        endpoint: ``ipc://...`` or ``tcp://HOST:PORT``.

    """

    def __init__(self, socket: zmq.Socket[Any], endpoint: str) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._host, self._port = _name(endpoint)
        self._at = ""  # where the socket is connected to, if by name
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        if self._host:
            self._loop = asyncio.get_running_loop()
            self._look_up()
        else:
            socket.connect(endpoint)

    @property
    def found(self) -> bool:
        """Whether there is an address to connect to; before, nothing could have been sent, and nothing is lost."""
        return not self._host or bool(self._at)

    @property
    def endpoint(self) -> str:
        """Where the socket is connected to, with no name in it once that is found."""
        return self._at or self._endpoint

    def close(self) -> None:
        """Look nothing up any more; the socket is the caller's to close."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _look_up(self) -> None:
        # A thread that nobody waits for: an answer may take longer than the process has left.
        threading.Thread(target=self._ask, name=f"look up {self._host}", daemon=True).start()

    def _ask(self) -> None:
        try:
            found = socket.getaddrinfo(self._host, None, socket.AF_INET, socket.SOCK_STREAM)
            host = str(found[0][4][0])
        except (OSError, UnicodeError):  # nobody of that name, at present
            host = ""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._found, host)

    def _found(self, host: str) -> None:
        if self._closed:
            return
        at = f"tcp://{host}:{self._port}"
        if host and at != self._at:
            if self._at:
                self._socket.disconnect(self._at)
            self._socket.connect(at)
            self._at = at
        self._timer = self._loop.call_later(LOOK_UP_S, self._look_up)


def _name(endpoint: str) -> tuple[str, str]:
    """Host name and port of an endpoint; no name where there is nothing to look up."""
    if not endpoint.startswith("tcp://"):
        return "", ""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.strip("[]"))
        return "", ""
    return host, port
