"""The console in a browser: a page with a terminal in it, and a process of the console for each page that is open.

Everything that the page needs comes from here, nothing from elsewhere. Other sites that the same browser looks at are
kept out: they could otherwise open the socket of a console that may command.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server

PAGE = Path(__file__).parent / "browser" / "index.html"
CLOSE_S = 2.0  # for the consoles of open pages to leave
FONT_SIZE = (8, 16, 40)  # pixels: least, usual, most

NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,300}")
"""A host and its port, as it may stand in our page."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(command: str, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the console until SIGINT or SIGTERM.

    Args:
        command: what each page runs, for a shell.
        host: to listen at; an address of this machine alone answers to no other name.
        port: to listen at.
        say: takes the URL, as soon as it is served.

    Raises OSError where it cannot listen there.

    """
    asyncio.run(_Server(command, host, port, say).until_told())


def is_local(name: str) -> bool:
    """Whether a host's name or address is that of this machine alone."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def allowed(host: str, asked: str, origin: str | None) -> bool:
    """Whether a request may be answered.

    Args:
        host: that is listened at.
        asked: the request's header Host: a name that leads here against our will is refused.
        origin: the request's header Origin: only our own page may open the socket.

    """
    if not NAME.fullmatch(asked):
        return False
    try:
        name = urlsplit(f"//{asked}").hostname or ""
        ours = origin is None or urlsplit(origin).netloc == asked
    except ValueError:  # a bracket that is not closed
        return False
    return ours and (not is_local(host) or is_local(name))


class _Server(Server):
    """The server of textual-serve, with our page, our words, and a guard at its door."""

    def __init__(self, command: str, host: str, port: int, say: Callable[[str], None]) -> None:
        super().__init__(command, host=f"[{host}]" if ":" in host else host, port=port, title="neurond top")
        self._say = say
        self._listens_at = host

    async def until_told(self) -> None:
        """Serve until a signal, as `serve` does; nothing is logged, and the URL is said when it can be reached."""
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=CLOSE_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._listens_at, self.port).start()
            told = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, told.set)
            self._say(self.public_url)
            await told.wait()
        finally:
            await runner.cleanup()

    async def on_startup(self, app: web.Application) -> None:
        """Nothing is printed: what matters is said."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not allowed(self._listens_at, request.host, request.headers.get("Origin")):
            raise web.HTTPForbidden(text="this console answers its own page only")
        return await handler(request)

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        # Words that our page does not say end the console that they came to, and are no news for our terminal.
        with suppress(AssertionError, AttributeError, LookupError, TypeError, ValueError):
            await super()._process_messages(websocket, app_service)

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page, with its socket at the name that it was asked for."""
        least, usual, most = FONT_SIZE
        wanted = request.query.get("fontsize", "")
        size = max(least, min(most, int(wanted))) if re.fullmatch("[0-9]{1,4}", wanted) else usual
        socket = escape(f"{'wss' if request.secure else 'ws'}://{request.host}/ws")
        page = Template(PAGE.read_text(encoding="utf-8")).substitute(title=self.title, socket=socket, size=size)
        return web.Response(text=page, content_type="text/html")
