"""The pictures of the console in docs/: `make pictures` runs a network and keeps what the console shows of it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import neurond
from monitor.client import Client
from monitor.console.app import Console
from monitor.picture import plain_fonts
from monitor.view import View
from neurond.errors import Interrupted

DOCS = Path(__file__).parents[1] / "docs"
NETWORK = "digits"
TRAINED_S = 8.0  # until the picture: sparklines and rasters are full
PICTURES = {"1": ("console.svg", 12), "3": ("raster.svg", 20)}  # view -> file, rows of the screen
COLUMNS = 100


class Watched:
    """The run, as the console follows it."""

    def __init__(self) -> None:
        self.view = View(())
        self.status: dict[str, Any] = {}
        self.answers = True
        self.client: Client | None = None

    def look(self, view: View) -> None:
        """The view has changed."""
        self.view = view

    def meet(self, client: Client) -> None:
        """What commands the run."""
        self.client = client


async def main() -> None:
    """Write the pictures."""
    watched, stop = Watched(), asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        run = asyncio.create_task(
            neurond.run_async(
                NETWORK,
                {"source.epochs": 100},
                run_dir=Path(folder) / "run",
                on_view=watched.look,
                on_client=watched.meet,
                stop=stop,
            )
        )
        while (watched.view.gauge("train_s") or 0.0) < TRAINED_S:
            if run.done():
                run.result()
            await asyncio.sleep(0.1)
        assert watched.client is not None
        console = Console(watched, time.monotonic, watched.client.command)
        async with console.run_test(size=(COLUMNS, 20)) as pilot:
            for view, (name, rows) in PICTURES.items():
                await pilot.resize_terminal(COLUMNS, rows)
                await pilot.press(view)
                await pilot.pause(1.0)
                drawn = console.export_screenshot(title="neurond top")
                (DOCS / name).write_text(plain_fonts(drawn) + "\n", encoding="utf-8")
                print(DOCS / name, file=sys.stderr)
        stop.set()
        with suppress(Interrupted):
            await run


if __name__ == "__main__":
    asyncio.run(main())
