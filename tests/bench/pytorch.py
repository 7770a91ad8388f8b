"""PyTorch, the other side of some measurements: in an interpreter of its own, for nothing else needs it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.report import MeasurementError
from tests.command import environment

LOOP = Path(__file__).with_name("pytorch_loop.py")
PIPELINE = Path(__file__).with_name("pytorch_pipeline.py")


def interpreter(given: str | None) -> str:
    """An interpreter that has PyTorch; MeasurementError if there is none."""
    if given is None:
        if importlib.util.find_spec("torch") is None:
            how = "--torch-python PATH, or NEUROND_BENCH_TORCH"
            raise MeasurementError(f"PyTorch not installed; name an interpreter that has it: {how}")
        return sys.executable
    try:
        found = subprocess.run([given, "-c", "import torch"], capture_output=True, check=False).returncode == 0
    except OSError as error:
        raise MeasurementError(f"cannot run {given}: {error.strerror}") from error
    if not found:
        raise MeasurementError(f"PyTorch not installed in {given}")
    return given


def measured(python: str, script: Path, folder: Path, *arguments: object) -> dict[str, Any]:
    """What one of the two scripts prints."""
    own = {k: v for k, v in environment().items() if k != "PYTHONPATH"}  # another interpreter, other packages
    command = [python, str(script), str(folder), *map(str, arguments)]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MeasurementError(f"{script.name} failed: {(done.stderr.strip().splitlines() or ['no words'])[-1]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
