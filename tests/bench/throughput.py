"""Training throughput on MNIST, pair by pair with PyTorch on the same machine: one process, and its own pipeline."""

from __future__ import annotations

import statistics

from tests.bench.live import overriding, scratch, shown, summary
from tests.bench.pytorch import LOOP, PIPELINE, interpreter, measured
from tests.bench.report import Row, Settings, say, spread

GOAL = 2.0
PIPELINE_GOAL = 40.0
BATCH, LR = 32, 0.07
MICROBATCHES = (1, 2, 4)
NEVER = 1_000_000_000  # stimuli between evaluations: only the last one is left, and that is not timed


def throughput(settings: Settings) -> list[Row]:
    """Stimuli a second of a neurond run and of PyTorch, one right after the other; the medians of the ratios."""
    python, folder = interpreter(settings.torch_python), settings.data_dir / "mnist"
    epochs, batches = (0.2, 50) if settings.quick else (4, 1000)
    arguments = ["mnist", *overriding(f"source.epochs={epochs}", f"source.eval_every={NEVER}")]
    ours: list[float] = []
    single: list[float] = []
    pipelined: list[dict[int, float]] = []
    for pair in range(1 if settings.quick else settings.pairs):
        # Whoever comes second finds a warmer machine, so they take turns.
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            if side == 0:
                with scratch() as run:
                    result = summary(run / "run", *arguments, "--data-dir", str(settings.data_dir))
                ours.append(result["stimuli_per_s"])
                continue
            loop = measured(python, LOOP, folder, BATCH, LR, epochs)
            single.append(loop["stimuli_per_s"])
            found = {m: measured(python, PIPELINE, folder, BATCH, m, batches) for m in MICROBATCHES}
            pipelined.append({m: f["stimuli_per_s"] for m, f in found.items()})
        say(
            f"throughput, pair {pair + 1}: neurond {ours[-1]:,.0f}/s, PyTorch {single[-1]:,.0f}/s, its pipeline "
            + ", ".join(f"{rate:,.0f}/s of {m} microbatches" for m, rate in pipelined[-1].items())
        )
    command = shown("run", *arguments, "--json")
    return [
        _row(
            "throughput",
            GOAL,
            f"PyTorch at batch {BATCH}",
            ours,
            single,
            f"{command}; python {LOOP.name} (PyTorch {loop['version']}, {loop['threads']} threads)",
        ),
        *(
            _row(
                f"pipeline, {m} microbatch" + "es" * (m > 1),
                PIPELINE_GOAL,
                f"PyTorch's pipeline over gloo at batch {BATCH}",
                ours,
                [rates[m] for rates in pipelined],
                f"{command}; python {PIPELINE.name} with {m} of {BATCH}",
            )
            for m in MICROBATCHES
        ),
    ]


def _row(name: str, goal: float, than: str, ours: list[float], theirs: list[float], command: str) -> Row:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Row(
        name,
        f">= {goal:g}x {than}",
        spread(ratios, "{:.2f}x"),
        statistics.median(ratios) >= goal,
        command,
        [
            f"pair {k}: neurond {a:,.0f}/s, PyTorch {b:,.0f}/s, {a / b:.2f}x"
            for k, (a, b) in enumerate(zip(ours, theirs, strict=True), 1)
        ],
        {"neurond_per_s": ours, "pytorch_per_s": theirs, "ratios": ratios},
    )
