"""Training throughput on MNIST, pair by pair with single-process PyTorch on the same machine."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.live import scratch, shown, summary
from tests.bench.report import MeasurementError, Row, Settings, say, spread
from tests.command import environment

GOAL = 1.3
NEVER = 1_000_000_000  # stimuli between evaluations: only the last one is left, and that is not timed
LOOP = Path(__file__).with_name("pytorch_loop.py")


def throughput(settings: Settings) -> list[Row]:
    """Stimuli a second of a neurond run and of PyTorch, one right after the other; the median of the ratios."""
    python = _torch_python(settings.torch_python)
    epochs = 0.2 if settings.quick else 4
    arguments = ["mnist", "--set", f"source.epochs={epochs}", "--set", f"source.eval_every={NEVER}"]
    ours: list[float] = []
    theirs: list[float] = []
    for pair in range(1 if settings.quick else settings.pairs):
        # Whoever comes second finds a warmer machine, so they take turns.
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            if side == 0:
                with scratch() as folder:
                    result = summary(folder / "run", *arguments, "--data-dir", str(settings.data_dir))
                ours.append(result["stimuli_per_s"])
            else:
                other = _pytorch(python, settings.data_dir / "mnist", epochs)
                theirs.append(other["stimuli_per_s"])
        say(f"throughput, pair {pair + 1}: neurond {ours[-1]:,.0f}/s, PyTorch {theirs[-1]:,.0f}/s")
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return [
        Row(
            "throughput",
            f">= {GOAL}x PyTorch at batch 32",
            spread(ratios, "{:.2f}x"),
            statistics.median(ratios) >= GOAL,
            f"{shown('run', *arguments, '--json')}; python {LOOP.name} (PyTorch {other['version']}, "
            f"{other['threads']} threads)",
            [
                f"pair {k}: neurond {a:,.0f}/s, PyTorch {b:,.0f}/s, {a / b:.2f}x"
                for k, (a, b) in enumerate(zip(ours, theirs, strict=True), 1)
            ],
            {"neurond_per_s": ours, "pytorch_per_s": theirs, "ratios": ratios, "pytorch": other},
        )
    ]


def _torch_python(given: str | None) -> str:
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


def _pytorch(python: str, folder: Path, epochs: float) -> dict[str, Any]:
    own = {k: v for k, v in environment().items() if k != "PYTHONPATH"}  # another interpreter, other packages
    done = subprocess.run(
        [python, str(LOOP), str(folder), str(epochs)], env=own, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise MeasurementError(f"{LOOP.name} failed: {(done.stderr.strip().splitlines() or ['no words'])[-1]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
