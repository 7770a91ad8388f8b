"""What may be changed of a process while it runs, and what becomes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurond.group import GroupMachine
from neurond.machine import Answer, Machine, Request, Tell
from neurond.notifier import Notifier
from neurond.rules import make_rule
from neurond.settings import Setting, Settings
from tests.fault.networks import build
from tests.plans import group_plan
from tests.simulated import Faults
from topology.plan import LinkPlan, LossPlan, NotifyPlan, OptimizerPlan, UpdatePlan
from topology.wire import Event, Reply


def ask(machine: Machine, verb: str, **args: Any) -> tuple[Reply, list[Event]]:
    """What a machine answers, and what it tells."""
    actions = machine.handle(Request("q", verb, args), 0.0)
    (reply,) = (a.reply for a in actions if isinstance(a, Answer))
    return reply, [a.event for a in actions if isinstance(a, Tell)]


def change(machine: Machine, key: str, value: Any) -> Reply:
    """The answer to `set`."""
    return ask(machine, "set", settings={key: value})[0]


def group(update: UpdatePlan | None = None, rule: str = "stochastic") -> GroupMachine:
    """A readout behind another group and the source."""
    notify = NotifyPlan(rule=rule, threshold=0.3, clip=0.5)
    links = (LinkPlan(0, "source", "out", 3, "source", 0, 3), LinkPlan(1, "h", "out", 4, "h", 0, 4, notify=notify))
    more = {"update": update or UpdatePlan(threshold=0.01), "optimizer": OptimizerPlan(lr=0.2)}
    return GroupMachine(group_plan("out", (0, 2, 2), "linear", links, loss=LossPlan(), **more))


def test_a_group_tells_what_may_be_changed() -> None:
    """The learning rate, the thresholds of updates, links and loss; what a link from the source has none of."""
    reply, told = ask(group(), "get")
    assert reply.ok
    assert told == []
    expected = {"lr": 0.2, "threshold": 0.01, "notify.h.threshold": 0.3, "notify.h.clip": 0.5}
    assert reply.data == {**expected, "notify.loss.threshold": 0.5, "notify.loss.clip": 0.0}


def test_what_has_no_threshold_offers_none() -> None:
    """Updates that are made always, and the rules `exact` and `top_k`, have nothing to be set."""
    keys = ask(group(UpdatePlan(rule="always"), "exact"), "get")[0].data.keys()
    assert keys == {"lr", "notify.h.clip", "notify.loss.threshold", "notify.loss.clip"}


def test_a_change_is_answered_and_told() -> None:
    """The answer has the new value, the event the one before too, and `get` tells the new one from then on."""
    machine = group()
    reply, told = ask(machine, "set", settings={"notify.h.threshold": 0.1})
    assert reply == Reply("q", True, {"notify.h.threshold": 0.1})
    assert told == [Event("out", "set", {"key": "notify.h.threshold", "value": 0.1, "before": 0.3})]
    assert ask(machine, "get")[0].data["notify.h.threshold"] == 0.1
    assert machine.settings.changed == {"notify.h.threshold": 0.1}


def test_what_the_plan_has_is_told_after_every_change() -> None:
    """With `planned`, `get` tells what it began with, of a process that took over what was set before it, too."""
    machine = group()
    begun = ask(machine, "get")[0].data
    ask(machine, "adopt", settings={"lr": 5.0})
    change(machine, "lr", 50.0)
    change(machine, "threshold", 0.5)
    assert ask(machine, "get", planned=True)[0].data == begun
    assert ask(machine, "get")[0].data == begun | {"lr": 50.0, "threshold": 0.5}


def test_several_are_changed_in_one_go_or_none() -> None:
    """A map of settings is answered whole and told one by one; where one of them cannot be, nothing is changed."""
    machine = group()
    before = ask(machine, "get")[0].data
    reply, told = ask(machine, "set", settings={"lr": 0.07, "threshold": -1, "lrr": 1})
    assert reply.error == (
        "threshold: a number from 0 to 1e+06 is expected, not -1; no setting 'lrr'; did you mean 'lr'?"
    )
    assert told == []
    assert ask(machine, "get")[0].data == before
    reply, told = ask(machine, "set", settings={"lr": 0.07, "threshold": 0.02})
    assert reply.data == {"lr": 0.07, "threshold": 0.02}
    assert [(e.data["key"], e.data["before"]) for e in told] == [("lr", 0.2), ("threshold", 0.01)]
    assert ask(machine, "get")[0].data == before | reply.data
    assert not ask(machine, "set", settings=[("lr", 1)])[0].ok


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("lrr", 0.1, "no setting 'lrr'; did you mean 'lr'?"),
        ("window", 5, "no setting 'window'; known: lr, threshold, "),
        (None, 0.1, "which setting is a word, one of lr, "),
        ("lr", -1, "lr: a number from 0 to 1e+06 is expected, not -1"),
        ("lr", float("nan"), "lr: a number from 0 to 1e+06 is expected, not nan"),
        ("lr", "fast", "lr: a number from 0 to 1e+06 is expected, not 'fast'"),
        ("lr", 10**400, "lr: a number from 0 to 1e+06 is expected, not so large a number"),
        ("lr", 1e-320, "lr: 0, or a number from 1e-12 to 1e+06 is expected, not 1e-320"),
        ("threshold", 1e-39, "threshold: 0, or a number from 1e-12 to 1e+06 is expected, not 1e-39"),
        (
            "notify.h.threshold",
            1e-39,
            "notify.h.threshold: 0, or a number from 1e-12 to 1e+06 is expected, not 1e-39",
        ),
        ("lr", True, "lr: a number from 0"),
        ("lr", None, "lr: a number from 0"),
    ],
)
def test_what_cannot_be_set_is_refused_in_one_line(key: Any, value: Any, error: str) -> None:
    """A key that is not known is guessed at, a value that cannot be says what can; nothing is changed or told."""
    machine = group()
    before = ask(machine, "get")[0].data
    reply, told = ask(machine, "set", settings={key: value})
    assert not reply.ok
    assert reply.error.startswith(error)
    assert told == []
    assert ask(machine, "get")[0].data == before


def test_whole_numbers_and_bounds_that_are_out() -> None:
    """A setting that counts takes 3.0 and not 3.5; one that must be above zero does not take zero."""
    kept: dict[str, float] = {"n": 1, "t": 1.0}
    settings = Settings("p")
    settings.add(
        {
            "n": Setting(lambda: kept["n"], lambda v: kept.update(n=int(v)), least=1, whole=True),
            "t": Setting(lambda: kept["t"], lambda v: kept.update(t=v), above=True, most=9.0),
        }
    )

    def answer(key: str, value: float) -> Reply:
        action = settings.answer(Request("q", "set", {"settings": {key: value}}))[0]
        assert isinstance(action, Answer)
        return action.reply

    assert answer("n", 3.0).data == {"n": 3}
    assert answer("n", 3.5).error == "n: a whole number from 1 to 1e+06 is expected, not 3.5"
    assert answer("t", 0).error == "t: a number above 0 to 9 is expected, not 0"
    assert answer("t", 9).ok


def test_a_successor_adopts_what_was_set_without_a_word() -> None:
    """What is handed on is taken up and not told as news; what a successor does not know is said and left out."""
    machine = group()
    reply, told = ask(machine, "adopt", settings={"lr": 0.5, "gone": 1.0, "threshold": 0.02})
    assert told == []
    assert reply.data == {"lr": 0.5, "threshold": 0.02}
    assert reply.error.startswith("no setting 'gone'")
    assert ask(machine, "get")[0].data["lr"] == 0.5
    assert not ask(machine, "adopt", settings=7)[0].data


def test_what_was_set_meanwhile_is_newer_than_what_is_handed_on() -> None:
    """A second word of what the process before had been told takes nothing back."""
    machine = group()
    ask(machine, "adopt", settings={"lr": 0.5, "threshold": 0.02})
    assert change(machine, "lr", 0.7).ok
    assert ask(machine, "adopt", settings={"lr": 0.5, "threshold": 0.02})[0].ok
    assert ask(machine, "get")[0].data["lr"] == 0.7


def test_the_learning_rate_is_that_of_the_next_step() -> None:
    """Before its schedule: what telemetry shows is the new one times what the schedule leaves."""
    machine = build(0, Faults()).machines["b"]
    assert machine.telemetry(0.0).gauges["lr"] == pytest.approx(0.05)
    assert change(machine, "lr", 0.2).ok
    assert machine.telemetry(0.0).gauges["lr"] == pytest.approx(0.2)


@pytest.mark.parametrize("rule", ["drop", "residual", "quantum", "stochastic", "sampled"])
def test_a_notification_threshold_acts_at_once(rule: str) -> None:
    """From then on a rule sends what one made with that threshold sends, and what it kept is still kept."""
    g = np.random.default_rng(3).normal(0, 0.2, (20, 8)).astype(np.float32)
    changed = Notifier(NotifyPlan(rule=rule, threshold=0.5), 8, np.random.default_rng(1))
    fresh = make_rule(NotifyPlan(rule=rule, threshold=0.1), 8, np.random.default_rng(1))
    changed.adjust(threshold=0.1)
    np.testing.assert_array_equal(changed(g), fresh(g))
    for key, kept in changed.state().items():
        changed.adjust(threshold=0.7)
        np.testing.assert_array_equal(changed.state()[key], kept)


def test_a_threshold_that_a_residual_is_clipped_in_cannot_be_taken_away() -> None:
    """A sum clipped at so many thresholds of 0 would always be 0, so neither a link nor a weight would ever move."""
    notify = NotifyPlan(rule="residual", threshold=0.3, residual_clip=2.0)
    link = LinkPlan(1, "h", "out", 4, "h", 0, 4, notify=notify)
    update = UpdatePlan(threshold=0.01, residual_clip=2.0)
    machine = GroupMachine(group_plan("out", (0, 2, 2), "linear", (link,), loss=LossPlan(), update=update))
    for key in ("threshold", "notify.h.threshold"):
        assert not change(machine, key, 0).ok
        assert change(machine, key, 0.1).ok


def test_what_a_rule_kept_goes_out_when_its_threshold_is_taken_away() -> None:
    """With T = 0 `residual` sends the sum of all that it had held back: nothing of the gradient is lost."""
    g = np.full((5, 3), 0.1, np.float32)
    rule = Notifier(NotifyPlan(rule="residual", threshold=10.0), 3, np.random.default_rng(1))
    assert not rule(g).any()
    rule.adjust(threshold=0.0)
    np.testing.assert_allclose(rule(g).sum(axis=0), 10 * g[0], rtol=1e-6)


def test_a_clip_acts_at_once() -> None:
    """A gradient beyond it is cut from then on; 0 is no clip."""
    rule = Notifier(NotifyPlan(rule="exact"), 1, np.random.default_rng(1))
    g = np.array([[3.0]], np.float32)
    rule.adjust(clip=0.5)
    assert rule(g) == 0.5
    rule.adjust(clip=0.0)
    assert rule(g) == 3.0


@pytest.mark.parametrize("before", [0.0, 0.5])
def test_a_threshold_of_updates_acts_at_once(before: float) -> None:
    """Raised, no weight moves; taken away, all that was held back enters with the next step."""
    plan = group_plan(
        "g", (0, 3, 3), "linear", (LinkPlan(0, "p", "g", 5, "p", 0, 5),), update=UpdatePlan(threshold=before)
    )
    own = GroupMachine(plan).dendrites
    synapses = own._links[0]
    first, step = synapses.w.copy(), np.full((1, 3), 0.1, np.float32)
    own.set_threshold(1e5)
    synapses.learn(step, np.ones((1, 6), np.float32), lr=1.0)
    np.testing.assert_array_equal(synapses.w, first)
    own.set_threshold(0.0)
    synapses.learn(step, np.ones((1, 6), np.float32), lr=1.0)
    np.testing.assert_allclose(synapses.w, first - 0.2, rtol=1e-5)
    assert own.threshold == 0.0


def test_the_window_of_the_source_is_wider_or_narrower_at_once() -> None:
    """No more stimuli are under way than the new window holds, and a volley is never wider than the window."""
    network = build(0, Faults(), volleys=4)
    source = network.source
    plan = source.plan.window
    assert ask(source, "get")[0].data == {"window": plan, "retry_s": source.plan.retry_s}
    assert change(source, "window", 1).ok
    network.run(confirmed=30)
    assert source.telemetry(network.now).gauges["in_flight"] <= 1
    assert source.telemetry(network.now).gauges["window"] == 1
    assert change(source, "window", 16 * plan + 1).error.startswith(f"window: a whole number from 1 to {16 * plan}")
    assert change(source, "window", 2 * plan).ok
    network.run()
    assert network.finished
    assert network.counters("source")["confirmed"] == source.telemetry(network.now).gauges["total"]


def test_a_retry_time_holds_for_what_is_presented_next() -> None:
    """With a line that loses frames, a source that waits for hours presents none again in a second."""
    network = build(0, Faults(drop=0.2, delay_s=0.001))
    assert change(network.source, "retry_s", 3000.0).ok
    with pytest.raises(AssertionError, match="hangs"):
        network.run(limit_s=60.0)
    assert network.counters("source")["represented"] == 0
    assert change(network.source, "retry_s", 0).error == "retry_s: a number above 0 to 3600 is expected, not 0"


def test_what_steers_and_what_helps_against_staleness_can_be_set() -> None:
    """Targets where thresholds are steered, which are then read as they are; remedies where the plan has them."""
    notify = NotifyPlan(threshold=0.3, adapt="link", target=0.2)
    link = LinkPlan(1, "h", "out", 4, "h", 0, 4, notify=notify)
    more = {"update": UpdatePlan(threshold=0.01, adapt="neuron"), "staleness_decay": 0.1, "delay_compensation": 0.5}
    machine = GroupMachine(group_plan("out", (0, 2, 2), "linear", (link,), loss=LossPlan(), **more))
    found = ask(machine, "get")[0].data
    assert found.keys() >= {"target", "notify.h.target", "staleness_decay", "delay_compensation"}
    assert not found.keys() & {"look_ahead", "notify.loss.target"}
    machine.dendrites._links[0].learn(np.ones((4, 2), np.float32), np.ones((4, 5), np.float32), lr=1.0)
    assert ask(machine, "get")[0].data["threshold"] > 0.011
    assert ask(machine, "get", planned=True)[0].data == found  # the plan's, though it was steered since
    assert change(machine, "threshold", 0.01).data == pytest.approx({"threshold": 0.01})  # what it was begun with
    changes = {"target": 0.5, "notify.h.target": 0.05, "staleness_decay": 0.0, "threshold": 0.02}
    reply = ask(machine, "set", settings=changes)[0]
    assert reply.data == pytest.approx(changes)
    assert ask(machine, "get")[0].data == pytest.approx(found | changes)
    assert ask(machine, "get", planned=True)[0].data == found
    for key in ("target", "notify.h.target"):
        assert change(machine, key, 0).error == f"{key}: a number above 0 to 1 is expected, not 0"
        assert change(machine, key, 1.5).error == f"{key}: a number above 0 to 1 is expected, not 1.5"
        assert change(machine, key, 1e-320).error == f"{key}: a number from 1e-12 to 1 is expected, not 1e-320"
    assert "above 0" in change(machine, "notify.h.threshold", 0).error
