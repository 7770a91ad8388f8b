"""Records the run at a broker: what the feed brings and what the broker answers, into a file, to the run's end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from monitor.beside import beside
from monitor.client import Client
from monitor.follow import Follower
from monitor.recording import Message, Recorder
from topology import wire
from topology.keys import Keyring

LAST_WORDS_S = 1.0  # for the end of a run to come, once whoever started it knows of it


async def record(client: Client, into: Recorder, clock: Callable[[], float], say: Callable[[str], None]) -> bool:
    """Follow the run at a broker and write all that comes; whether it was followed to its end.

    It waits for a broker that is not there, ends with the run, and before it where the file may not grow any more.

    Raises BrokerUnreachable as `Follower.changes` does, RecordingError if the disk takes no more.
    """
    began: float | None = None
    folder = ""
    another = False

    def heard(message: Message) -> None:
        nonlocal began, folder, another
        if isinstance(message, wire.Reply):
            another = another or folder not in ("", message.data["run_dir"])
            folder = str(message.data["run_dir"])
        if another:
            return
        began = clock() if began is None else began
        into.append(clock() - began, message)

    follower = Follower(client, clock, say, heard)
    async with aclosing(follower.changes()) as changes:
        async for view in changes:
            if view.ended or another or into.full:
                break
    return not into.full


@asynccontextmanager
async def recording(
    broker: str, keys: Keyring | None, into: Recorder, clock: Callable[[], float], say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Record beside something else, for as long as the context lasts: a disk that is full does not end that."""

    async def recorded() -> None:
        async with Client(broker, keys) as client:
            if not await record(client, into, clock, lambda _: None):
                say(f"{into.path} is as large as it may be; the run goes on")

    async with beside(recorded, "record", lambda error: say(f"not recorded any more: {error}"), LAST_WORDS_S):
        yield
