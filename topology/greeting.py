"""What a ZeroMQ socket says of itself before any handshake: the greeting of ZMTP 3 (RFC 23), read without libzmq.

A client without keys and a server with keys each close the connection as soon as they have read the other's greeting.
Who is slower finds it closed before it has read why, and would have to try until it is the faster one. So it asks
here, and tells no mechanism of its own that could be refused.
"""

from __future__ import annotations

import asyncio
import contextlib

OURS = b"\xff" + bytes(8) + b"\x7f" + b"\x03"  # signature and major version: the other side now tells its mechanism
SIZE = 64  # bytes of a whole greeting
MECHANISM = slice(12, 32)
TIMEOUT_S = 2.0


async def differs(endpoint: str, keyed: bool) -> bool:
    """Whether the socket at an endpoint has keys and we have none, or the other way round; False where it is mute."""
    if not endpoint.startswith("tcp://"):  # keys are for tcp alone
        return False
    told = await mechanism(endpoint)
    return told != "" and (told == "CURVE") != keyed


async def mechanism(endpoint: str) -> str:
    """How the socket at ``tcp://ADDRESS:PORT`` wants to be talked to: CURVE, NULL, ...; empty where it is mute."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                writer.write(OURS)
                said = await reader.readexactly(SIZE)
    except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
        return ""
    return said[MECHANISM].rstrip(b"\0").decode("ascii", "replace") if said.startswith(b"\xff") else ""
