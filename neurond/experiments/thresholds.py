"""Studies of thresholds: what they save, what they cost, and what they do besides."""

from __future__ import annotations

from collections.abc import Iterator

from neurond.experiments.arms import ALWAYS, EXACT, notify
from neurond.experiments.judge import less, lost, times
from neurond.experiments.study import Alike, Arm, Claim, Lines, Map, Quantity, Study

RULES = ("drop", "residual", "quantum", "stochastic", "sampled")
T = (0.05, 0.1, 0.2, 0.4, 0.8)
T_AXIS = "threshold T (dLoss/dActivation)"
DENSE = Arm("exact", EXACT, "exact")


def _rules(thresholds: tuple[float, ...], rules: tuple[str, ...] = RULES) -> Iterator[Arm]:
    for rule in rules:
        for t in thresholds:
            yield Arm(f"{rule} {t:g}", notify(rule, t), rule, t)


def _top_k(ks: tuple[int, ...]) -> Iterator[Arm]:
    for k in ks:
        yield Arm(f"top_k {k}", notify("top_k", k=k), "top_k")


SPARSITY = Study(
    name="sparsity",
    title="What a threshold saves, and what it costs",
    question="The note: a neuron notifies its inputs only when its gradient exceeds a threshold T, which makes "
    "backpropagation sparser. How many notifications does each rule save, and at what loss of accuracy?",
    network="digits",
    settings=ALWAYS,
    short={"source.epochs": 0.5},
    arms=(DENSE, *_rules(T), *_top_k((1, 2, 4, 8))),
    axis=T_AXIS,
    table=("test_accuracy", "notifications", "notifications_saved", "skipped", "bytes_saved"),
    charts=(Lines("test_error", log_y=True), Lines("test_error", against="notifications_saved", log_y=True)),
    claims=(
        Claim(
            "Stochastic notification at T = 0.4 saves at least 10 times the notifications",
            times("notifications", "exact", "stochastic 0.4", "notifications of exact in those of stochastic 0.4"),
            least=10,
        ),
        Claim(
            "Stochastic notification at T = 0.4 costs at most half a point of accuracy",
            lost("stochastic 0.4", "exact"),
            most=0.5,
        ),
        Claim(
            "Accumulating what was not sent (residual, the note's own rule) at T = 0.4 costs at most half a point",
            lost("residual 0.4", "exact"),
            most=0.5,
        ),
        Claim(
            "Dropping what was not sent at T = 0.4 costs more than accumulating it, a tenth of a point at least",
            lost("drop 0.4", "residual 0.4"),
            least=0.1,
        ),
    ),
    run_s=2.5,
    notes="Weights are updated at every step, so that the rules of notification are seen alone. A rule "
    "stands at the loss as it stands on the links, with the same T or k.",
)

SPARSITY_MNIST = Study(
    name="sparsity-mnist",
    title="The same on MNIST",
    question="Does what digits show hold for 784-300-100-10 on MNIST?",
    network="mnist",
    settings={"source.epochs": 2, **ALWAYS},
    short={"source.epochs": 0.05},
    arms=(DENSE, *_rules((0.1, 0.3, 0.9), ("drop", "residual", "stochastic", "sampled"))),
    axis=T_AXIS,
    table=("test_accuracy", "notifications", "notifications_saved", "skipped", "bytes_saved", "stimuli_per_s"),
    charts=(Lines("test_error", log_y=True), Lines("test_error", against="notifications_saved", log_y=True)),
    claims=(
        Claim(
            "Stochastic notification at T = 0.3 saves at least 30 times the notifications",
            times("notifications", "exact", "stochastic 0.3", "notifications of exact in those of stochastic 0.3"),
            least=30,
        ),
        Claim(
            "Stochastic notification at T = 0.3 costs at most 0.3 points of accuracy",
            lost("stochastic 0.3", "exact"),
            most=0.3,
        ),
        Claim(
            "Accumulating what was not sent (residual) at T = 0.3 costs at most 0.3 points",
            lost("residual 0.3", "exact"),
            most=0.3,
        ),
        Claim(
            "Where stimuli are drawn first (sampled), at T = 0.3, at least a tenth fewer need a backward pass "
            "than with stochastic",
            Quantity(
                "the stimuli with a backward pass, in those of stochastic 0.3,",
                lambda alike: (1 - alike["sampled 0.3"]["skipped"]) / (1 - alike["stochastic 0.3"]["skipped"]),
                "x",
                ratio=True,
            ),
            most=0.9,
        ),
        Claim(
            "Drawing stimuli first (sampled) costs at most 0.1 points beside stochastic at T = 0.3",
            lost("sampled 0.3", "stochastic 0.3"),
            most=0.1,
        ),
    ),
    run_s=9.0,
    notes="Two epochs with the learning rate of the zoo; its schedule ends with them.",
)

UPDATE_T = (0.003, 0.01, 0.03, 0.1)


def _updates() -> Iterator[Arm]:
    for release in ("value", "quantum"):
        for t in UPDATE_T:
            rule = {"rule": "threshold", "threshold": t, "release": release}
            yield Arm(f"{release} {t:g}", {"defaults.group.update": rule}, release, t)


UPDATES = Study(
    name="updates",
    title="How many weight updates are needed",
    question="The note: far fewer updates, because small noisy gradients cancel. A connection sums its steps and "
    "moves its weight only when the sum exceeds a threshold: how many updates does that save, at what loss of "
    "accuracy?",
    network="digits",
    short={"source.epochs": 0.5},
    arms=(Arm("always", ALWAYS, "always"), *_updates()),
    axis="threshold of an update (units of the weight)",
    table=("test_accuracy", "updates", "updates_saved", "staleness"),
    charts=(Lines("test_error", log_y=True), Lines("updates_saved", log_y=True)),
    claims=(
        Claim(
            "A threshold of 0.01 saves at least 20 times the updates",
            times("updates", "always", "value 0.01", "updates of always in those of value 0.01"),
            least=20,
        ),
        Claim("A threshold of 0.01 costs at most half a point of accuracy", lost("value 0.01", "always"), most=0.5),
    ),
    run_s=2.5,
)

MAP_RULES = ("drop", "residual")
MAP_T = (0.0, 0.1, 0.2, 0.4, 0.8)
MAP_LR = (0.025, 0.05, 0.1, 0.2, 0.4)


def _on_map(rule: str, t: float, lr: float) -> str:
    return f"{rule}, T {t:g}, rate {lr:g}"


def _best_rate(rule: str) -> Quantity:
    """The learning rate that is best at the largest T, in that which is best at T = 0."""

    def best(alike: Alike, t: float) -> float:
        return max(MAP_LR, key=lambda lr: (alike[_on_map(rule, t, lr)]["test_accuracy"], -lr))

    return Quantity(
        f"the best learning rate at T = {MAP_T[-1]:g} in that at T = 0, with {rule},",
        lambda alike: best(alike, MAP_T[-1]) / best(alike, 0.0),
        "x",
        ratio=True,
    )


RATE_MAP = Study(
    name="rate-map",
    title="A threshold and the learning rate",
    question="The note: raising T acts like changing the learning rate. If it does, the learning rate that is best "
    "moves when T is raised, and a map of accuracy over both has a slanted ridge.",
    network="digits",
    settings={**ALWAYS, "source.epochs": 8},
    short={"source.epochs": 0.3},
    arms=tuple(
        Arm(
            _on_map(rule, t, lr),
            {**notify(rule, t), "defaults.group.optimizer.lr": lr},
            rule,
            t,
            lr,
        )
        for rule in MAP_RULES
        for lr in MAP_LR
        for t in MAP_T
    ),
    axis="threshold T",
    axis_y="learning rate",
    table=("test_accuracy", "notifications_saved"),
    charts=(Map("test_accuracy"),),
    claims=tuple(
        Claim(
            f"With {rule}, the best learning rate at T = {MAP_T[-1]:g} is another than at T = 0, twice as large at "
            "least",
            _best_rate(rule),
            least=2,
        )
        for rule in MAP_RULES
    ),
    run_s=1.5,
    notes="Eight epochs, so that a learning rate that is too small shows. Of rates that are equally good, the "
    "smallest counts as the best.",
)

REGULARISATION = Study(
    name="regularisation",
    title="Whether a threshold regularises",
    question="The note: effects like those of dropout. If T regularises, raising it narrows the gap between the "
    "training and the test part, and the test part does not suffer.",
    network="digits",
    settings={**ALWAYS, "groups.h1.size": 256, "groups.h2.size": 128, "source.epochs": 20},
    short={"source.epochs": 0.5},
    arms=(DENSE, *_rules((0.1, 0.2, 0.4, 0.8), ("drop", "residual", "stochastic"))),
    axis=T_AXIS,
    fit=True,
    table=("fit_accuracy", "test_accuracy", "accuracy_gap", "fit_loss", "test_loss", "loss_gap"),
    charts=(Lines("loss_gap"), Lines("test_loss"), Lines("test_error", log_y=True)),
    claims=(
        Claim(
            "Stochastic notification at T = 0.4 narrows the gap of the losses by a hundredth at least",
            less("loss_gap", "stochastic 0.4", "exact", "the gap"),
            least=0.01,
        ),
        Claim(
            "Stochastic notification at T = 0.4 lowers the loss of the test part",
            less("test_loss", "stochastic 0.4", "exact", "the test loss"),
            least=0.0,
        ),
        Claim(
            "Dropping at T = 0.4 narrows the gap of the losses by a hundredth at least",
            less("loss_gap", "drop 0.4", "exact", "the gap"),
            least=0.01,
        ),
        Claim(
            "Dropping at T = 0.4 lowers the loss of the test part",
            less("test_loss", "drop 0.4", "exact", "the test loss"),
            least=0.0,
        ),
    ),
    run_s=4.0,
    notes="A network that is larger than the task needs. The last weights are judged by both parts.",
)

CANCELLING = Study(
    name="cancelling",
    title="How much cancels",
    question="The note: far fewer updates, because small noisy gradients cancel. Of all the steps of a weight, how "
    "much is left when they are added up, and how much of the way does a threshold spare?",
    network="digits",
    by="alone",
    short={"source.epochs": 1},
    arms=(
        DENSE,
        *(
            Arm(
                f"threshold {t:g}",
                {**notify("exact"), "defaults.group.update": {"rule": "threshold", "threshold": t}},
                "exact gradients",
                t,
            )
            for t in (0.001, *UPDATE_T)
        ),
        *(
            Arm(
                f"stochastic 0.3, threshold {t:g}",
                {**notify("stochastic", 0.3), "defaults.group.update": {"rule": "threshold", "threshold": t}},
                "stochastic, T = 0.3",
                t,
            )
            for t in (0.001, *UPDATE_T)
        ),
    ),
    axis="threshold of an update (units of the weight)",
    table=(
        "test_accuracy",
        "way",
        "updated",
        "moved",
        "cancelled",
        "kept_back",
        "gradient_sent",
        "gradient_cancelled",
        "updates_saved",
    ),
    charts=(Lines("updated", log_y=True), Lines("test_error", log_y=True)),
    claims=(
        Claim(
            "Of the way of a weight, half or more cancels",
            Quantity("the share that cancels", lambda alike: 100 * alike["exact"]["cancelled"], "%"),
            least=50,
        ),
        Claim(
            "A threshold of 0.01 spares half of the way or more",
            Quantity("the share spared", lambda alike: 100 * alike["threshold 0.01"]["kept_back"], "%"),
            least=50,
        ),
        Claim(
            "A threshold of 0.01 costs at most half a point of accuracy",
            lost("threshold 0.01", "exact"),
            most=0.5,
        ),
    ),
    run_s=3.0,
    notes="No process tells the sizes of single steps, and none should have to: this study computes with the rules, "
    "optimizers and first weights of the processes, but in one process, one volley after the other, without messages "
    "and so without staleness.",
)

STUDIES = (SPARSITY, SPARSITY_MNIST, UPDATES, RATE_MAP, REGULARISATION, CANCELLING)
