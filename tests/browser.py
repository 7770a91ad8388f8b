"""A headless Chromium for tests of pages, driven over its debugging protocol; skipped where there is none."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.command import environment
from tests.waiting import comes

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page:
    """A page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A method of the protocol, and its result."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == number:
                return dict(answer.get("result") or {})

    async def evaluate(self, code: str) -> Any:
        """The value of some JavaScript."""
        found = await self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    async def press(self, text: str) -> None:
        """Type one character."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, key=text, unmodifiedText=text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=text)

    async def picture(self) -> bytes:
        """A PNG of what it shows."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def browser(folder: Path, url: str, width: int = 1200, height: int = 700) -> AsyncIterator[Page]:
    """A browser that looks at `url`; it may reach this machine alone."""
    command = next((found for name in NAMES if (found := shutil.which(name))), None)
    if command is None:
        pytest.skip("no Chromium here")
    profile = folder / "chromium"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--no-first-run"]
    options += ["--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={width},{height}"]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
    process = subprocess.Popen(
        [command, *options, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment() | {"TMPDIR": str(folder)},
    )
    try:
        told = profile / "DevToolsActivePort"
        await comes(lambda: told.exists() and told.read_text().count("\n"), "the browser listens")
        port = told.read_text().splitlines()[0]
        async with aiohttp.ClientSession() as session:

            async def target() -> str | None:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    found = [
                        one for one in await answer.json() if one["type"] == "page" and one["url"].startswith(url)
                    ]
                return found[0]["webSocketDebuggerUrl"] if found else None

            async with session.ws_connect(await comes(target, "the page"), max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        await asyncio.sleep(0)
        shutil.rmtree(profile, ignore_errors=True)
