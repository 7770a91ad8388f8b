"""Where a recording is played: the sockets at which monitors find it, as if they were the broker's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import zmq
import zmq.asyncio

from monitor.replay import Replay
from topology import address, sockets, wire

LAST_WORDS_S = 0.5  # after the end, for those that watch to hear of it
TURN = 64  # messages that are sent before the others have their turn


class Stage:
    """Bound to an address; a context that gives it free again.

    Args:
        at: ``ipc:///FOLDER/`` or ``tcp://HOST:PORT``, without keys; as in `topology.address`.

    Raises AddressError, AddressInUse where it cannot be bound.

    """

    def __init__(self, at: str) -> None:
        self.address = at
        self.watched = asyncio.Event()  # somebody has come to see
        with contextlib.ExitStack() as stack:
            for endpoint in (address.control(at), address.telemetry_out(at)):
                stack.callback(address.bind_lock(endpoint).release)
            context = zmq.asyncio.Context()
            stack.callback(context.term)
            self._control = sockets.bind_address(context, sockets.CONTROL, address.control(at), None)
            stack.callback(self._control.close)
            self._feed = sockets.bind_address(context, sockets.FEED, address.telemetry_out(at), None)
            stack.callback(self._feed.close)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Give the address free."""
        self._stack.close()

    async def play(self, replay: Replay, speed: float, clock: Callable[[], float], short: Callable[[], None]) -> None:
        """Play a recording to its end, from when somebody watches it on.

        Args:
            replay: from its beginning.
            speed: seconds of the run in one of ours.
            clock: seconds, monotonic.
            short: called when the recording is at its end before the run was; then it stands still until cancelled.

        """
        asking = asyncio.create_task(self._answer(replay))
        coming = asyncio.create_task(self._welcome(replay))
        try:
            await self.watched.wait()
            began = clock()
            while replay.due is not None:
                await asyncio.sleep(max(0.0, began + replay.due / speed - clock()))
                for i, frames in enumerate(replay.play((clock() - began) * speed)):
                    await self._feed.send_multipart(frames)
                    if i % TURN == TURN - 1:
                        await asyncio.sleep(0)
            if not replay.over:
                short()
                await asyncio.Event().wait()
            await asyncio.sleep(LAST_WORDS_S)
        finally:
            for task in (asking, coming):
                task.cancel()
            await asyncio.gather(asking, coming, return_exceptions=True)

    async def _answer(self, replay: Replay) -> None:
        while True:
            frames = await self._control.recv_multipart()
            with contextlib.suppress(wire.WireError, ValueError):  # bytes that are none of ours are no reason to stop
                route, packed = frames
                message = wire.unpack(packed)
                if isinstance(message, wire.Command):
                    with contextlib.suppress(zmq.ZMQError):  # whoever asked has gone
                        await self._control.send_multipart([route, wire.pack(replay.answer(message))], zmq.NOBLOCK)

    async def _welcome(self, replay: Replay) -> None:
        while True:
            data = (await self._feed.recv_multipart())[0]
            if data[:1] == b"\x01":
                for frames in replay.subscribed(data[1:]):
                    await self._feed.send_multipart(frames)
                self.watched.set()
