"""Studies of what an input that fires while a group waits means, and of the note's own rule, taken literally."""

from __future__ import annotations

from collections.abc import Iterator

from neurond.experiments.judge import lost
from neurond.experiments.study import Arm, Claim, Late, Lines, Study

JOINS = ("match", "latest", "sum")
DELAYS = (0.0, 0.002, 0.005)


def _joins() -> Iterator[Arm]:
    for join in JOINS:
        for delay in DELAYS:
            label = f"{join}, {1000 * delay:g} ms"
            yield Arm(label, {"groups.out.join": join}, join, 1000 * delay, during=Late(delay))


JOINING = Study(
    name="joins",
    title="When an input fires twice while you wait",
    question="The note asks: what if one of your inputs fires twice while you are waiting? A group may wait for "
    "the same stimulus on all links (match), fire with what each link said last (latest), or add up what "
    "comes (sum).",
    network="skip",
    settings={"source.epochs": 10, "source.opening": 500, "source.window": 128},
    short={"source.epochs": 0.5},
    arms=tuple(_joins()),
    axis="one-way latency of every link (ms)",
    table=("test_accuracy", "test_loss", "staleness", "stimuli_per_s", "expired"),
    charts=(Lines("test_error", log_x=False, log_y=True), Lines("stimuli_per_s", log_x=False, log_y=True)),
    claims=tuple(
        Claim(
            f"On links of 5 ms, {join} loses two points or more against match",
            lost(f"{join}, 5 ms", "match, 5 ms"),
            least=2.0,
        )
        for join in JOINS[1:]
    ),
    run_s=6.0,
    notes="The readout hears h1 at once and h2, which hears h1 itself, one link later. Evaluations are always "
    "matched.",
)

T = (0.003, 0.01, 0.03, 0.1)
TRACES = (0.0, 0.9)


def _literal() -> Iterator[Arm]:
    for trace in TRACES:
        for t in T:
            update = {"rule": "literal", "threshold": t, "trace": trace}
            yield Arm(
                f"literal {t:g}, trace {trace:g}", {"defaults.group.update": update}, f"literal, trace {trace:g}", t
            )
    for t in T:
        update = {"rule": "threshold", "threshold": t}
        yield Arm(f"threshold {t:g}", {"defaults.group.update": update}, "threshold, causal", t)


LITERAL = Study(
    name="literal",
    title="The note's rule, taken literally",
    question="The note: a connection accumulates gradients, and only above T updates its weight and notifies its "
    "input. There a trace of the input stands in for the stimulus. How much is lost against gradients "
    "that meet the activations which caused them?",
    network="digits",
    short={"source.epochs": 0.5},
    arms=tuple(_literal()),
    axis="threshold of an update (units of the weight)",
    table=("test_accuracy", "test_loss", "notifications", "updates", "updates_saved", "staleness", "diverged"),
    charts=(Lines("test_error", log_y=True), Lines("updates_saved", log_y=True)),
    claims=(
        Claim(
            "At T = 0.01 the literal rule loses two points or more",
            lost("literal 0.01, trace 0", "threshold 0.01"),
            least=2.0,
        ),
        Claim(
            "A trace that lasts makes it worse, by a point at least",
            lost("literal 0.01, trace 0.9", "literal 0.01, trace 0"),
            least=1.0,
        ),
    ),
    run_s=3.0,
)

STUDIES = (JOINING, LITERAL)
