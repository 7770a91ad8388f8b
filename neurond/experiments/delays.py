"""Studies of time: staleness, slow links and slow processes, against a synchronous pipeline of the same processes."""

from __future__ import annotations

from collections.abc import Iterator

from neurond.experiments.arms import in_step
from neurond.experiments.judge import lost
from neurond.experiments.study import (
    Alike,
    Arm,
    Claim,
    Disturbance,
    Dots,
    Late,
    Lines,
    Paused,
    Quantity,
    Slowed,
    Study,
)

WINDOWS = (16, 32, 64, 128, 256, 512, 1024)
RATES = (0.05, 0.2)

STALENESS = Study(
    name="staleness",
    title="Window, staleness and accuracy",
    question="Nothing waits, so a gradient comes back to weights that have moved since. How much of that does "
    "learning bear, as the window of stimuli in flight grows?",
    network="digits",
    settings={"source.opening": 0, "source.epochs": 15},
    short={"source.epochs": 0.5},
    arms=(
        *(
            Arm(
                f"rate {rate:g}, window {window}",
                {"source.window": window, "defaults.group.optimizer.lr": rate},
                f"rate {rate:g}",
                window,
            )
            for rate in RATES
            for window in WINDOWS
        ),
        *(
            Arm(
                f"rate 0.2, opened, window {window}",
                {"source.window": window, "defaults.group.optimizer.lr": 0.2, "source.opening": 8000},
                "rate 0.2, window opened",
                window,
            )
            for window in WINDOWS[3:]
        ),
        *(
            Arm(
                f"rate 0.2, decay 0.1, window {window}",
                {"source.window": window, "defaults.group.optimizer.lr": 0.2, "defaults.group.staleness_decay": 0.1},
                "rate 0.2, staleness decay 0.1",
                window,
            )
            for window in WINDOWS[3:]
        ),
    ),
    axis="window (stimuli in flight)",
    table=("test_accuracy", "staleness", "staleness_max", "stimuli_per_s", "diverged"),
    charts=(
        Lines("test_error", log_y=True),
        Lines("staleness"),
        Lines("test_error", against="staleness", log_x=False, log_y=True),
    ),
    claims=(
        Claim(
            "At a rate of 0.05, a window of 256 loses at most half a point against one of a volley",
            lost("rate 0.05, window 256", "rate 0.05, window 16"),
            most=0.5,
        ),
        Claim(
            "At a rate of 0.2, a window of 1024 from a cold start loses two points at least",
            lost("rate 0.2, window 1024", "rate 0.2, window 16"),
            least=2.0,
        ),
        Claim(
            "At a rate of 0.2, a window of 1024 that opens gradually is better by a point at least",
            lost("rate 0.2, window 1024", "rate 0.2, opened, window 1024"),
            least=1.0,
        ),
    ),
    run_s=2.0,
    notes="The window is open from the first stimulus, but where it says that it opens over 8,000.",
)

TIMED = {
    "source.epochs": 1000000,  # a run ends by its time
    "source.opening": 500,
    "source.eval_every": 1000000000,  # the last weights are judged
    "source.retry": "60s",  # what is slow is not lost
}
ASYNCHRONOUS = "asynchronous"
BATCHES = {16: 0.05, 128: 0.2}
"""Stimuli of a step of the synchronous pipelines, and the learning rate for it."""
WINDOW, VOLLEY, RATE, WARMUP = 512, 32, 0.05, 2000
"""The asynchronous network: its window opens soon, for what is late would keep it closed, and so it warms up."""


def _ways() -> dict[str, dict[str, object]]:
    """The asynchronous network, and synchronous pipelines of two batch sizes."""
    return {
        ASYNCHRONOUS: {"source.window": WINDOW, "source.volley": VOLLEY, **_sgd(RATE, WARMUP)},
        **{f"in step, batch {n}": {**in_step(n), **_sgd(rate)} for n, rate in BATCHES.items()},
    }


def _sgd(rate: float, warmup: int = 0) -> dict[str, object]:
    return {"defaults.group.optimizer": {"kind": "sgd", "lr": rate, "warmup": warmup}}


def _rate_kept(way: str, slow: str, quiet: str) -> Quantity:
    return Quantity(
        f"the rate that {way} keeps",
        lambda alike: 100 * alike[f"{way}, {slow}"]["stimuli"] / alike[f"{way}, {quiet}"]["stimuli"],
        "%",
    )


def _faster(slow: str) -> Quantity:
    """Stimuli of the asynchronous network in those of the synchronous pipeline whose batch is best for it."""

    def of(alike: Alike) -> float:
        best = max(alike[f"in step, batch {n}, {slow}"]["stimuli"] for n in BATCHES)
        return alike[f"{ASYNCHRONOUS}, {slow}"]["stimuli"] / max(1.0, best)

    words = f"stimuli of asynchronous in those of the better synchronous pipeline ({slow})"
    return Quantity(words, of, "x", ratio=True)


DISTURBANCES: dict[str, Disturbance | None] = {
    "undisturbed": None,
    "h1 slowed 10 times": Slowed("h1", 0.005, 0.045),
    "random pauses": Paused(every_s=0.3, lasts_s=0.3),
}


def _stragglers() -> Iterator[Arm]:
    for way, settings in _ways().items():
        for words, disturbance in DISTURBANCES.items():
            yield Arm(f"{way}, {words}", settings, way, during=disturbance)


STRAGGLERS = Study(
    name="stragglers",
    title="Processes that are slow or stand still",
    question="Nothing waits for a process that is slow. How much is learned in the same time when one group has a "
    "tenth of its time, or any group stands still now and then, and how much by a synchronous pipeline?",
    network="digits",
    settings=TIMED,
    short={"source.opening": 200},
    for_s=8.0,
    arms=tuple(_stragglers()),
    table=("stimuli", "stimuli_per_s", "test_accuracy", "staleness", "restarts", "represented"),
    charts=(Dots("stimuli", log=True), Dots("test_error", log=True)),
    claims=(
        Claim(
            "With h1 slowed 10 times, the asynchronous network learns from twice as many stimuli or more",
            _faster("h1 slowed 10 times"),
            least=2,
        ),
        Claim(
            "With random pauses, it learns from twice as many stimuli or more",
            _faster("random pauses"),
            least=2,
        ),
        Claim(
            "With h1 slowed 10 times, it keeps a fifth of its own rate or more",
            _rate_kept(ASYNCHRONOUS, "h1 slowed 10 times", "undisturbed"),
            least=20,
        ),
    ),
    run_s=10.0,
    notes="Each run trains for 8 s. h1 is stopped by the system (SIGSTOP) for 45 ms of every 50; a pause stops one "
    "group, drawn by the seed, for 0.3 s, after 0.3 s on average. The pipelines are the same processes with a "
    "window of one volley of 16 or 128 stimuli and no thresholds, the larger with four times the learning rate; a "
    "claim is against the faster of the two.",
)

DELAYS = (0.0, 0.005, 0.05, 0.2)


def _late() -> Iterator[Arm]:
    for way, settings in _ways().items():
        for delay in DELAYS:
            yield Arm(f"{way}, {_ms(delay)}", settings, way, 1000 * delay, during=Late(delay))


def _ms(delay_s: float) -> str:
    return f"{1000 * delay_s:g} ms"


LATENCY = Study(
    name="latency",
    title="Slow links",
    question="What is learned in the same time where every link is late by 5, 50 or 200 ms one way, and what by a "
    "synchronous pipeline of the same processes?",
    network="digits",
    settings=TIMED,
    short={"source.opening": 200},
    for_s=10.0,
    arms=tuple(_late()),
    axis="one-way latency of every link (ms)",
    table=("stimuli", "stimuli_per_s", "test_accuracy", "staleness", "represented"),
    charts=(Lines("stimuli", log_x=False, log_y=True), Lines("test_error", log_x=False, log_y=True)),
    claims=(
        *(
            Claim(
                f"At {_ms(delay)}, the asynchronous network learns from twice as many stimuli or more",
                _faster(_ms(delay)),
                least=2,
            )
            for delay in (0.05, 0.2)
        ),
        Claim(
            "At 200 ms, it is more accurate after the same time, by a point at least",
            Quantity(
                "its accuracy less that of the better synchronous pipeline",
                lambda alike: (
                    100
                    * (
                        alike[f"{ASYNCHRONOUS}, 200 ms"]["test_accuracy"]
                        - max(alike[f"in step, batch {n}, 200 ms"]["test_accuracy"] for n in BATCHES)
                    )
                ),
                "points",
            ),
            least=1.0,
        ),
    ),
    run_s=12.0,
    notes="Each run trains for 10 s. Frames wait in the process that sends them. The asynchronous network has up to "
    "512 stimuli in flight and warms up over 2,000, the pipelines one volley of 16 or 128, the larger with four "
    "times the learning rate, and no thresholds; a claim is against the better.",
)

STUDIES = (STALENESS, STRAGGLERS, LATENCY)
