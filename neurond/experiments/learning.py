"""Studies of what happens inside the accumulators: optimizers, clip and noise."""

from __future__ import annotations

from collections.abc import Iterator

from neurond.experiments.arms import ALWAYS, EXACT, in_step, notify
from neurond.experiments.judge import less, lost, times
from neurond.experiments.study import Arm, Claim, Dots, Lines, Study

OPTIMIZERS = {
    "sgd": {"kind": "sgd", "lr": 0.1},
    "momentum": {"kind": "momentum", "lr": 0.015},
    "adagrad": {"kind": "adagrad", "lr": 0.03},
    "rmsprop": {"kind": "rmsprop", "lr": 0.002},
    "adam": {"kind": "adam", "lr": 0.003},
}
VOLLEY = 16
WAYS = ("in step", "asynchronous, exact", "asynchronous, thresholds")


def _optimizers() -> Iterator[Arm]:
    for kind, optimizer in OPTIMIZERS.items():
        own = {"defaults.group.optimizer": {**optimizer, "schedule": "cosine"}}
        yield Arm(f"{kind}, {WAYS[0]}", {**own, **in_step(VOLLEY)}, WAYS[0])
        yield Arm(f"{kind}, {WAYS[1]}", {**own, **EXACT}, WAYS[1])
        yield Arm(f"{kind}, {WAYS[2]}", own, WAYS[2])


ACCUMULATORS = Study(
    name="optimizers",
    title="Optimizers inside the accumulators",
    question="The note: a variable T, or another accumulation strategy, gives momentum, Adagrad and Adam. Here each "
    "accumulator has an optimizer inside. Does it learn as well as its synchronous twin?",
    network="digits",
    short={"source.epochs": 0.5},
    arms=tuple(_optimizers()),
    table=("test_accuracy", "test_loss", "staleness", "notifications_saved", "updates_saved", "train_s"),
    charts=(Dots("test_error", log=True), Dots("test_loss")),
    claims=tuple(
        Claim(
            f"Asynchronous {kind} with the default thresholds loses at most half a point against its twin",
            lost(f"{kind}, {WAYS[2]}", f"{kind}, {WAYS[0]}"),
            most=0.5,
        )
        for kind in OPTIMIZERS
    ),
    run_s=4.0,
    notes="The twin is the same processes with a window of one volley and no thresholds: a volley goes forward and "
    "back before the next, so its staleness is 0 and each step is that of a mini-batch of 16.",
)

NOISES = (0.003, 0.01, 0.03, 0.1)
CLIPS = (0.05, 0.1, 0.2, 0.5, 1.0)
RATES = (0.1, 0.8)


def _noise(rule: str, threshold: float | None, sigma: float) -> Arm:
    """Noise on links alone: at the loss it would wake every stimulus that is learned already."""
    settings = notify(rule, threshold)
    settings["defaults.link.notify"] = {**settings["defaults.link.notify"], "noise": sigma}
    return Arm(f"{rule}, noise {sigma:g}", settings, rule, sigma)


NOISE = Study(
    name="noise",
    title="Noise on gradients",
    question="The note: noisy gradients come easily. Does Gaussian noise, added to each gradient before its rule, "
    "help or harm?",
    network="digits",
    settings=ALWAYS,
    short={"source.epochs": 0.5},
    arms=(
        Arm("exact, none", notify("exact"), "exact"),
        *(_noise("exact", None, sigma) for sigma in NOISES),
        Arm("stochastic, none", notify("stochastic", 0.3), "stochastic"),
        *(_noise("stochastic", 0.3, sigma) for sigma in NOISES),
    ),
    axis="standard deviation of the noise (dLoss/dActivation)",
    fit=True,
    table=("test_accuracy", "test_loss", "loss_gap", "notifications_saved"),
    charts=(Lines("test_error", log_y=True), Lines("test_loss")),
    claims=(
        Claim(
            "Noise of 0.01 on exact gradients lowers the test loss",
            less("test_loss", "exact, noise 0.01", "exact, none", "the test loss"),
            least=0.0,
        ),
        Claim(
            "Noise of 0.1 costs the stochastic rule at most half a point",
            lost("stochastic, noise 0.1", "stochastic, none"),
            most=0.5,
        ),
    ),
    run_s=2.5,
    notes="Noise is added on links, not at the loss.",
)


def _clip(rate: float, clip: float) -> Arm:
    settings = {
        "defaults.group.optimizer.lr": rate,
        "defaults.link.notify": {"rule": "exact", "clip": clip},
        "loss.notify": {"rule": "exact"},
    }
    return Arm(f"rate {rate:g}, clip {clip:g}", settings, f"rate {rate:g}", clip)


CLIP = Study(
    name="clip",
    title="Clipped gradients",
    question="The note: gradient clipping comes easily. Does a clip of each gradient keep a network alive at a "
    "learning rate that is far too large, and what does it cost at one that is not?",
    network="digits",
    settings=ALWAYS,
    short={"source.epochs": 0.5},
    arms=tuple(
        arm
        for rate in RATES
        for arm in (
            Arm(
                f"rate {rate:g}, no clip",
                {"defaults.group.optimizer.lr": rate, **notify("exact")},
                f"rate {rate:g}",
            ),
            *(_clip(rate, clip) for clip in CLIPS),
        )
    ),
    axis="clip on links (dLoss/dActivation)",
    table=("test_accuracy", "test_loss", "diverged"),
    charts=(Lines("test_error", log_y=True), Lines("test_loss")),
    claims=(
        Claim(
            "At a learning rate of 0.8 a clip of 0.2 is better than none, by ten points at least",
            lost("rate 0.8, no clip", "rate 0.8, clip 0.2"),
            least=10.0,
        ),
        Claim(
            "At a learning rate of 0.1 a clip of 0.2 costs at most half a point",
            lost("rate 0.1, clip 0.2", "rate 0.1, no clip"),
            most=0.5,
        ),
    ),
    run_s=2.5,
    notes="No thresholds. The clip is on links; at the loss no gradient of a class is larger than 1.",
)

DENSE, EVENTS = "dense", "events"

TRAFFIC = Study(
    name="traffic",
    title="Bytes of dense and of event-driven training",
    question="What goes over the links, in bytes a stimulus, when only what happens is sent, and in what form?",
    network="mnist",
    settings={"source.epochs": 2},
    short={"source.epochs": 0.05},
    arms=(
        Arm(DENSE, {**EXACT, "defaults.link.coding": "fast"}),
        Arm(EVENTS, {"defaults.link.coding": "fast"}),
        Arm("events, small", {"defaults.link.coding": "small"}),
        Arm("events, small, float16", {"defaults.link.coding": "small", "defaults.link.values": "float16"}),
        Arm("events, small, uint8", {"defaults.link.coding": "small", "defaults.link.values": "uint8"}),
    ),
    table=("test_accuracy", "bytes", "bytes_saved", "spikes_saved", "notifications_saved", "stimuli_per_s"),
    charts=(Dots("bytes"), Dots("test_error", log=True)),
    claims=(
        Claim(
            "Events in float32 need at most a tenth of the bytes of dense training",
            times("bytes", DENSE, "events, small", "bytes of dense in those of events"),
            least=10,
        ),
        Claim(
            "Events in 8 bits need at most a tenth of the bytes of dense training",
            times("bytes", DENSE, "events, small, uint8", "bytes of dense in those of events in 8 bits"),
            least=10,
        ),
        Claim(
            "Events in 8 bits lose at most 0.3 points of accuracy",
            lost("events, small, uint8", DENSE),
            most=0.3,
        ),
    ),
    run_s=8.0,
    notes="Bytes are those of whole frames, of training and of evaluation. Savings are against every activation and "
    "every gradient in float32. Pixels are activations as others: most of what is sent is the image.",
)

STUDIES = (ACCUMULATORS, NOISE, CLIP, TRAFFIC)
