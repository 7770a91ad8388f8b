"""Studies of steered thresholds, of random feedback, and of remedies against staleness."""

from __future__ import annotations

from collections.abc import Iterator

from neurond.experiments.arms import ALWAYS, EXACT, notify
from neurond.experiments.judge import lost
from neurond.experiments.study import Alike, Arm, Claim, Dots, Lines, Quantity, Study

RATES = (0.05, 0.1, 0.2)
TARGETS = (0.05, 0.1, 0.2, 0.4)
FIXED = (0.1, 0.3, 0.9)


def _steered() -> Iterator[Arm]:
    for rule in ("stochastic", "residual"):
        for rate in RATES:
            optimizer = {"defaults.group.optimizer.lr": rate}
            for t in FIXED:
                label = f"{rule}, T {t:g}, rate {rate:g}"
                yield Arm(label, {**notify(rule, t), **optimizer}, f"{rule}, fixed T", rate)
            for target in TARGETS:
                label = f"{rule}, target {target:g}, rate {rate:g}"
                steered = notify(rule, 0.3, adapt="link", target=target)
                yield Arm(label, {**steered, **optimizer}, f"{rule}, steered T", rate)


def _range(line: str) -> Quantity:
    """How differently the arms of a line save, from the learning rate alone: the largest ratio over the rates."""

    def of(alike: Alike) -> float:
        saved = [alike[f"{line}, rate {rate:g}"]["notifications_saved"] for rate in RATES]
        return max(saved) / min(saved)

    return Quantity(f"the largest in the smallest saving over the rates, with {line},", of, "x", ratio=True)


ADAPTIVE = Study(
    name="adaptive",
    title="Thresholds that are steered",
    question="The note: a variable T. Where T is steered so that a wanted share of the gradients is sent, does a "
    "network save what it was told to, whatever its learning rate, and learn as well as with the best "
    "fixed T?",
    network="digits",
    settings=ALWAYS,
    short={"source.epochs": 0.5},
    arms=(Arm("exact", EXACT, "exact"), *_steered()),
    axis="learning rate",
    table=("test_accuracy", "notifications", "notifications_saved", "skipped"),
    charts=(
        Lines("test_error", against="notifications_saved", at=0.1, log_y=True),
        Dots("notifications_saved", log=True),
    ),
    claims=(
        Claim(
            "A steered T saves the same at all rates, within a factor of 1.5",
            _range("stochastic, target 0.1"),
            most=1.5,
        ),
        Claim(
            "Steered to 0.1, stochastic notification costs at most half a point of accuracy",
            lost("stochastic, target 0.1, rate 0.1", "exact"),
            most=0.5,
        ),
    ),
    run_s=2.5,
    notes="Thresholds are steered a link each, from 0.3 on. The share counts the gradients of stimuli that have any.",
)


def _remedies() -> Iterator[Arm]:
    remedies: dict[str, dict[str, float]] = {
        "none": {},
        "staleness decay": {"defaults.group.staleness_decay": 0.1},
        "delay compensation": {"defaults.group.delay_compensation": 0.1},
        "look-ahead": {"defaults.group.look_ahead": 1.0},
    }
    for name, remedy in remedies.items():
        for window in WINDOWS:
            yield Arm(f"{name}, window {window}", {"source.window": window, **remedy}, name, window)


WINDOWS = (64, 128, 256, 512)

REMEDIES = Study(
    name="remedies",
    title="Remedies against staleness",
    question="A window that is too wide makes gradients stale. How much do a learning rate that falls with "
    "staleness, a correction of stale gradients (DC-ASGD) and neurons that fire with the weights to come "
    "(look-ahead) give back?",
    network="digits",
    settings={
        "source.opening": 0,
        "source.epochs": 15,
        "defaults.group.optimizer": {"kind": "momentum", "lr": 0.01, "schedule": "cosine"},
        **EXACT,
    },
    short={"source.epochs": 0.5},
    arms=tuple(_remedies()),
    axis="window (stimuli in flight)",
    table=("test_accuracy", "test_loss", "staleness", "diverged"),
    charts=(Lines("test_error", log_y=True), Lines("test_loss")),
    claims=tuple(
        Claim(
            f"At a window of 256, {name} is better than no remedy, by half a point at least",
            lost("none, window 256", f"{name}, window 256", f"what {name} gives back"),
            least=0.5,
        )
        for name in ("staleness decay", "delay compensation", "look-ahead")
    ),
    run_s=2.5,
    notes="Momentum, for a look-ahead needs a velocity. No thresholds, and the window is open from the first "
    "stimulus.",
)

FEEDBACK = Study(
    name="feedback",
    title="Random feedback",
    question="Weights that are read backward are what a brain does not have. If errors come back through a random "
    "matrix that never changes (feedback alignment), does a network of such processes still learn?",
    network="digits",
    short={"source.epochs": 0.5},
    arms=tuple(
        Arm(f"{feedback}, {words}", {"defaults.link.feedback": feedback, **settings}, feedback)
        for words, settings in (
            ("exact", EXACT),
            ("stochastic", {}),
            ("residual", notify("residual", 0.1)),
        )
        for feedback in ("weights", "random")
    ),
    table=("test_accuracy", "test_loss", "notifications", "notifications_saved", "updates_saved"),
    charts=(Dots("test_error", log=True), Dots("notifications", log=True)),
    claims=(
        Claim(
            "With the default thresholds, random feedback loses at most two points",
            lost("random, stochastic", "weights, stochastic"),
            most=2.0,
        ),
        Claim("Without thresholds, it loses at most two points", lost("random, exact", "weights, exact"), most=2.0),
    ),
    run_s=2.5,
)

STUDIES = (ADAPTIVE, REMEDIES, FEEDBACK)
