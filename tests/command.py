"""The command `neurond` as a user types it, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

DEADLINE_S = 60.0  # of a command, to its end
ROOT = Path(__file__).parents[1]
NEUROND = [sys.executable, "-m", "neurond"]
DEAF = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""Starts a verb as a script starts what it puts behind itself: not to be interrupted."""


def environment() -> dict[str, str]:
    """The environment without NEUROND_*, with the packages of this checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NEUROND_") and k not in ("COLUMNS", "LINES")}
    path = os.pathsep.join([str(Path(sys.executable).parent), clean.get("PATH", os.defpath)])
    return clean | {"PYTHONPATH": str(ROOT), "PATH": path}


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


def python(*arguments: str, **keywords: object) -> subprocess.CompletedProcess[str]:
    """A command of Python's."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False, **keywords
    )  # type: ignore[call-overload]
