"""The command `neurond` as a user types it, in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0
ROOT = Path(__file__).parents[1]
NEUROND = [sys.executable, "-m", "neurond"]


def environment() -> dict[str, str]:
    """The environment without NEUROND_*, with the packages of this checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NEUROND_") and k not in ("COLUMNS", "LINES")}
    return clean | {"PYTHONPATH": str(ROOT)}


def neurond(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end in `folder`."""
    return subprocess.run(
        [*NEUROND, *arguments],
        cwd=folder,
        env=environment() | more,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def until(condition: Callable[[], Any], what: str) -> Any:
    """Poll until the condition is truthy, and return it; fail when the deadline has passed."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE_S:g} s: {what}")
