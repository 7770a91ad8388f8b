"""A thousand groups over wide-area links, with churn, on one core: how long it takes, and how much memory.

    python -m tests.bench.thousand [--columns 250] [--epochs 1]

250 columns of four groups each under one readout. Prints a row.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from topology.threads import blas_threads

CONDITIONS = ("--latency", "50ms±20ms", "--loss", "0.1%", "--churn", "1h", "--down", "5s")
HEAD = """\
neurond: 1
name: {name}
source: {{data: digits, epochs: {epochs}, window: 512, volley: 64, opening: 0, retry: 5s}}
loss: {{reads: out, kind: cross-entropy, notify: {{rule: stochastic, threshold: 0.5}}}}
defaults:
  group: {{memory: 2048, optimizer: {{kind: sgd, lr: 0.1}}, update: {{rule: threshold, threshold: 0.01}}}}
  link: {{notify: {{rule: stochastic, threshold: 0.3}}}}
"""


def columns(n: int, epochs: float) -> str:
    """A topology of n columns of four groups each, which only the readout joins."""
    groups, links = [], []
    for k in range(n):
        names = [f"{layer}{k:04}" for layer in "abcd"]
        groups += [f"  {name}: {{size: 8}}" for name in names]
        pairs = zip(["source", *names], [*names, "out"], strict=True)
        links += [f"  {pre} -> {post}:" for pre, post in pairs]
    groups.append("  out: {size: 10, neuron: linear}")
    return "\n".join([HEAD.format(name="columns", epochs=epochs), "groups:", *groups, "links:", *links, ""])


def measure(text: str, *options: str) -> dict[str, object]:
    """The summary of a run of its own process on one core, with its memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "topology.yaml"
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "neurond", "simulate", str(file), *CONDITIONS, *options]
        environment = os.environ | blas_threads(os.environ)
        done = subprocess.run(
            [*command, "--run", str(Path(folder) / "run"), "--quiet", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = {"cpu_s": round(used.ru_utime + used.ru_stime, 1), "peak_mb": used.ru_maxrss // 1024}
    return json.loads(done.stdout) | peak


def main() -> None:
    """Measure, and print a row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--columns", type=int, default=250)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--fast", action="store_true")
    args = parser.parse_args()
    text = columns(args.columns, args.epochs)
    told = measure(text, *(["--fast"] if args.fast else []))
    figures = ("stimuli", "frames", "deaths", "represented", "virtual_s", "wall_s", "cpu_s", "peak_mb")
    print(*(f"{key} {told[key]}" for key in (*figures, "test_accuracy", "digest")), sep="  ", flush=True)


if __name__ == "__main__":
    main()
