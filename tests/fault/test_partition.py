"""A network that is cut and healed: a link over tcp with keys is back within two seconds, without anybody's help."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import zmq

from tests.fault.faults import Fault, Place, injects
from tests.fault.proxy import Proxy
from tests.waiting import comes
from topology import sockets
from topology.gate import Gate
from topology.issue import issue
from topology.keys import Keyring

CUT_S = 10.0
BACK_S = 2.0


@injects(Place.PROCESSES, Fault.TWO_WAY_CUT)
@pytest.mark.timeout(120)
async def test_a_link_is_back_after_a_partition(tmp_path: Path) -> None:
    """After ten seconds without a network the first new message arrives within two, and the dead link was noticed."""
    issue(tmp_path / "keys", ["source", "hidden"])
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    gate = Gate(context, Keyring(tmp_path / "keys", "hidden"))
    inbox = sockets.bind(context, sockets.INBOX, "tcp://127.0.0.1:*", gate)
    gate.open()
    loop = asyncio.get_running_loop()
    with Proxy(int(inbox.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])) as cable:
        keys = Keyring(tmp_path / "keys", "source")
        outbox, _ = sockets.connect(context, sockets.OUTBOX, f"tcp://127.0.0.1:{cable.port}", keys, "hidden")
        outbox.send(b"before")
        await comes(lambda: inbox.poll(0), "a message before")
        assert inbox.recv() == b"before"
        cable.behave(hold=True)
        connections, cut_at = cable.connections, loop.time()
        await comes(lambda: cable.connections > connections, "the dead link is noticed, and another tried")
        await comes(lambda: loop.time() > cut_at + CUT_S, "ten seconds have passed")
        outbox.send(b"after")
        assert not inbox.poll(0)
        cable.heal()
        healed_at = loop.time()
        await comes(lambda: inbox.poll(0), "a message after")
        assert inbox.recv() == b"after"
        assert loop.time() - healed_at < BACK_S

        gate.close()
        for socket in (outbox, inbox):
            socket.close(0)
        context.term()
