"""Where a run takes place, for its folder: what its numbers may depend on."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def environment() -> dict[str, Any]:
    """Where a run takes place: interpreter, machine, and the versions that its numbers may depend on."""
    packages: dict[str, str | None] = {}
    for name in ("neurond", "numpy", "pyzmq", "msgpack", "uvloop", "safetensors"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": packages,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
