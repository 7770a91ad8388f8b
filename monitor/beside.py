"""Work beside a run, such as a recording of it: it ends with the run, and the run never because of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def beside(
    work: Callable[[], Awaitable[None]], name: str, failed: Callable[[Exception], None], last_words_s: float = 0.0
) -> AsyncIterator[None]:
    """Do some work for as long as the context lasts.

    Args:
        work: what is to be done; cancelled at the end.
        name: of its task.
        failed: told why it has failed, whatever that is: it is no reason to end a training.
        last_words_s: that it may take to come to its own end, once the context is left.

    """

    async def worked() -> None:
        try:
            await work()
        except Exception as error:
            failed(error)

    task = asyncio.create_task(worked(), name=name)
    try:
        yield
    finally:
        await asyncio.wait([task], timeout=last_words_s)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
