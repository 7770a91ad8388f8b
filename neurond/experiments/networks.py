"""Studies of networks on links and with processes that are bad in every way, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator

from neurond.experiments.judge import lost
from neurond.experiments.study import Arm, Claim, Lines, Simulated, Study

LATENCIES = (0.001, 0.01, 0.05, 0.2)
LOSSES = (0.0, 0.01, 0.05)
LIVES = (30.0, 10.0)


def _latencies() -> Iterator[Arm]:
    for loss in LOSSES:
        for latency in LATENCIES:
            label = f"{1000 * latency:g} ms, {100 * loss:g} % lost"
            yield Arm(
                label, {}, f"{100 * loss:g} % lost", 1000 * latency, during=Simulated(latency, 0.4 * latency, loss)
            )


def _churn() -> Iterator[Arm]:
    for life in LIVES:
        for latency in LATENCIES:
            what = Simulated(latency, 0.4 * latency, churn_s=life, down_s=1.0)
            yield Arm(
                f"{1000 * latency:g} ms, lives {life:g} s", {}, f"lives of {life:g} s", 1000 * latency, during=what
            )


NETWORKS = Study(
    name="networks",
    title="Latency, loss and churn, simulated",
    question="How do accuracy and traffic depend on the latency of links, on frames that are lost and on processes "
    "that die and come back?",
    network="digits",
    settings={"source.epochs": 15},
    short={"source.epochs": 0.5},
    arms=(*_latencies(), *_churn()),
    by="simulated",
    axis="mean one-way latency of every link (ms)",
    table=("test_accuracy", "virtual_s", "bytes", "staleness", "represented", "deaths"),
    charts=(
        Lines("test_error", log_y=True),
        Lines("virtual_s", log_y=True),
        Lines("bytes", log_y=True),
    ),
    claims=(
        Claim(
            "At 50 ms, losing 5 % of all frames costs at most a point of accuracy",
            lost("50 ms, 5 % lost", "50 ms, 0 % lost"),
            most=1.0,
        ),
        Claim(
            "At 50 ms, processes that live 10 s on average cost at most a point",
            lost("50 ms, lives 10 s", "50 ms, 0 % lost"),
            most=1.0,
        ),
        Claim(
            "Links of 200 ms cost at most a point against links of 1 ms",
            lost("200 ms, 0 % lost", "1 ms, 0 % lost"),
            most=1.0,
        ),
    ),
    run_s=4.0,
    notes="In virtual time: the machines and frames of real processes, with a heap of events in place of "
    "sockets and clocks. The spread of latencies is 0.4 of their mean; a process that died is back after "
    "1 s on average.",
)

STUDIES = (NETWORKS,)
