"""Thresholds that are steered: the wanted share comes about, whatever the rule, and stays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from neurond.group import GroupMachine
from neurond.notifier import Notifier
from neurond.steering import RANGE, SPAN, Steering
from tests.plans import group_plan
from topology.plan import LinkPlan, LossPlan, NotifyPlan, UpdatePlan

Floats = NDArray[np.float32]
WIDTH, TARGET = 40, 0.02
STEERED = ("drop", "residual", "quantum", "stochastic", "sampled")
FALL = 20_000  # stimuli in which the scale of falling gradients halves


def notifier(rule: str, adapt: str = "link", threshold: float = 0.3, **more: float) -> Notifier:
    """A rule whose threshold is steered."""
    plan = NotifyPlan(rule=rule, threshold=threshold, adapt=adapt, target=TARGET, **more)  # type: ignore[arg-type]
    return Notifier(plan, WIDTH, np.random.default_rng(5))


def shares(act: Notifier, stimuli: int, half_life: float = np.inf, spread: float = 0.0, seed: int = 0) -> Floats:
    """Shares that each neuron was sent over the second half of so many stimuli.

    Gradients are of about one at first; those of the last neuron are exp(spread) times those of the first.
    """
    rng = np.random.default_rng(seed)
    scale = np.exp(spread * np.linspace(-0.5, 0.5, WIDTH))
    sent, seen, done = np.zeros(WIDTH), 0, 0
    while done < stimuli:
        n = int(rng.integers(1, 129))
        g = rng.normal(0, 1, (n, WIDTH)) * scale * 0.5 ** (done / half_life)
        fired = act(g.astype(np.float32)) != 0
        done += n
        if done > stimuli / 2:
            sent, seen = sent + fired.sum(axis=0), seen + n
    return sent / seen


@pytest.mark.parametrize("threshold", [0.1, 30.0])
@pytest.mark.parametrize("rule", STEERED)
def test_the_wanted_share_is_sent(rule: str, threshold: float) -> None:
    """From a threshold far too low or far too high, the share that is sent comes to the wanted one."""
    sent = shares(notifier(rule, threshold=threshold), 30_000)
    assert abs(sent.mean() / TARGET - 1) < 0.05


@pytest.mark.parametrize("rule", STEERED)
def test_the_threshold_follows_gradients_that_fall(rule: str) -> None:
    """While gradients fall to an eighth, the share stays what is wanted, but for the lag of the control.

    T lags by the log of its fall in a span: the share is short by SPAN * log(2) / FALL, 7 %. What `residual` and
    `quantum` keep comes from larger gradients, which makes up for some of it.
    """
    act = notifier(rule, threshold=1.0)
    shares(act, 10_000)
    before = act.threshold
    sent = shares(act, 3 * FALL, half_life=FALL, seed=1).mean() / TARGET
    assert abs(sent - 1) < SPAN * np.log(2) / FALL + 0.02
    assert 6 < before / act.threshold < 10


@pytest.mark.parametrize("rule", STEERED)
def test_each_neuron_has_its_own_threshold(rule: str) -> None:
    """With one threshold a neuron all send alike, though the gradients of some are e^2 times those of others.

    With one for the link they do not: this is what `neuron` is for.
    """
    alone = shares(notifier(rule, "neuron", threshold=2.0), 60_000, spread=2.0)
    assert np.abs(alone / TARGET - 1).max() < 0.25
    together = shares(notifier(rule, "link", threshold=2.0), 20_000, spread=2.0)
    assert together.max() / max(together.min(), 1e-9) > 2


def test_no_gradients_leave_the_threshold_in_range() -> None:
    """Where nothing is to be sent, T falls to the end of its range, and comes back once there is something."""
    act = notifier("stochastic", threshold=1.0)
    for _ in range(500):
        act(np.zeros((100, WIDTH), np.float32))
    assert act.threshold == pytest.approx(1.0 / RANGE)
    assert abs(shares(act, 40_000).mean() / TARGET - 1) < 0.05


def test_one_look_moves_a_threshold_by_two_at_most() -> None:
    """However much fires in one look, or nothing for however long, T at most doubles or halves."""
    steering = Steering(TARGET, WIDTH)
    steering.see(10**9, 1)
    assert steering.factor == pytest.approx(2.0)
    steering.see(0, 10**9)
    assert steering.factor == pytest.approx(1.0)


@pytest.mark.parametrize("adapt", ["link", "neuron"])
@pytest.mark.parametrize("rule", STEERED)
def test_a_steered_rule_goes_on_where_it_was(rule: str, adapt: str) -> None:
    """What was restored has the thresholds of what was saved, and steers them on alike."""
    first, g = notifier(rule, adapt), np.random.default_rng(1).normal(0, 1, (200, WIDTH)).astype(np.float32)
    first(g)
    saved = {name: array.copy() for name, array in first.state().items()}
    second = notifier(rule, adapt)
    second.restore(saved)
    assert second.threshold == pytest.approx(first.threshold) != 0.3
    second._rng.bit_generator.state = first._rng.bit_generator.state
    np.testing.assert_allclose(second(g), first(g), rtol=1e-5)
    assert second.threshold == pytest.approx(first.threshold)
    with pytest.raises(ValueError, match="steered thresholds"):
        Notifier(first.plan, WIDTH + 1, np.random.default_rng(0)).recover({**saved, "thresholds": np.ones(7)})


def test_a_threshold_that_is_set_is_steered_on_from_there() -> None:
    """`set` of a steered threshold holds at once; a target that is set leaves the threshold where it is."""
    act = notifier("stochastic")
    shares(act, 5000)
    before = act.threshold
    act.adjust(target=0.5)
    assert act.threshold == before
    act.adjust(threshold=7.0)
    assert act.threshold == pytest.approx(7.0)
    assert abs(shares(act, 20_000).mean() / 0.5 - 1) < 0.05


@pytest.mark.parametrize("adapt", ["link", "neuron"])
def test_stochastic_stays_unbiased(adapt: str) -> None:
    """While T moves, what `stochastic` sends is right on average: within five standard errors of T |g| a draw."""
    act, rng = notifier("stochastic", adapt, threshold=0.05), np.random.default_rng(8)
    g = rng.normal(0, 1, WIDTH).astype(np.float32)
    error, variance, thresholds = np.zeros(WIDTH), np.zeros(WIDTH), set()
    for _ in range(10_000):
        assert act._steering is not None
        threshold = act._steering.thresholds(0.05)
        error += act(g[None])[0] - g
        variance += np.abs(g) * np.maximum(threshold - np.abs(g), 0.0)
        thresholds.add(act.threshold)
    assert (np.abs(error) <= 5 * np.sqrt(variance) + 10_000 * 1e-6).all()
    assert max(thresholds) / min(thresholds) > 10  # it did move


def group(adapt: str = "link") -> GroupMachine:
    """A readout whose thresholds are all steered."""
    notify = NotifyPlan(rule="residual", threshold=0.1, adapt=adapt, target=0.3, residual_clip=2.0)
    loss = LossPlan(notify=NotifyPlan(threshold=0.2, adapt=adapt, target=0.3))
    update = UpdatePlan(threshold=0.05, adapt=adapt, target=0.1)
    link = LinkPlan(1, "h", "out", 4, "h", 0, 4, notify=notify)
    return GroupMachine(group_plan("out", (0, 3, 3), "linear", (link,), loss=loss, update=update))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("w.h/thresholds", np.nan),
        ("w.h/thresholds", -1.0),
        ("w.h/held", np.nan),
        ("w.h/steps", -1),
        ("rule.h/thresholds", np.inf),
        ("rule.h/residual", np.nan),
        ("rule.h/counts", -1),
        ("counters", -1),
        ("forgotten", -1),
        ("count", -1),
    ],
)
def test_a_checkpoint_with_what_nobody_writes_is_refused(name: str, value: float) -> None:
    """Numbers that are not finite and counts below 0 are no state of a group, though the checksum be right."""
    state = group().state()
    assert name in state, sorted(state)
    state[name].flat[0] = value
    with pytest.raises(ValueError, match=r"in the checkpoint is "):
        group().restore(state)


@pytest.mark.parametrize("adapt", ["link", "neuron"])
def test_a_group_tells_and_keeps_its_thresholds(adapt: str) -> None:
    """Telemetry has each steered threshold as it is; checkpoints and journals bring it back; clips are counted."""
    machine = group(adapt)
    rules = machine.rules
    g = np.random.default_rng(0).normal(0, 1, (500, 4)).astype(np.float32)
    rules["h"](g)
    rules["loss"](g[:, :3])
    d, x = g[:, :3], np.random.default_rng(1).random((500, 5), np.float32)
    machine.dendrites._links[0].learn(d, x, lr=0.1)
    told = machine.telemetry(0.0)
    names = {"notify.h.threshold": 0.1, "notify.loss.threshold": 0.2, "threshold.h": 0.05}
    found = {key: told.gauges[key] for key in names}
    assert all(abs(value / names[key] - 1) > 0.1 for key, value in found.items())
    assert told.counters["residual_clipped"] == rules["h"].clipped > 0
    for keep in ("state", "durable"):
        other = group(adapt)
        kept = {name: array.copy() for name, array in getattr(machine, keep)().items()}
        (other.restore if keep == "state" else other.recover)(kept)
        for key, value in found.items():
            assert other.telemetry(0.0).gauges[key] == pytest.approx(value, rel=1e-5)
    assert not [key for key in group("off").telemetry(0.0).gauges if "threshold" in key]
