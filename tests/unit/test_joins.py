"""Joins `latest` and `sum`: with what a stimulus fires, whom its gradient goes to, and what is closed when."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest

from neurond import data
from neurond.forward import forward
from neurond.group import GroupMachine
from neurond.joins import MixedMemory
from neurond.machine import Frame, Idle, Send, Tick
from tests.fault.history import check
from tests.fault.networks import build, check_books, draw_faults
from tests.plans import group_plan
from tests.simulated import Faults, Network
from tests.zoo import plan_of
from topology import wire
from topology.plan import SOURCE, LinkPlan, NotifyPlan, OptimizerPlan, UpdatePlan
from topology.wire import EVALUATION

SIZE, LR = 4, 0.5
WIDTHS = {"p": 3, "q": 2, "r": 3}


def exact(index: int, pre: str, post: str, width: int) -> LinkPlan:
    """A link on which every gradient is notified."""
    return LinkPlan(index, pre, post, width, pre, 0, width, notify=NotifyPlan(rule="exact"))


@dataclass
class Bench:
    """One group with some pre groups and one post group, all of which are played by the test.

    Its weights change once only, after so many stimuli were closed: until then the gradients are summed.
    """

    join: str
    pres: str = "pq"
    every: int = 1000
    fired: dict[int, np.ndarray] = field(default_factory=dict)  # stimulus -> activations
    told: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)  # (pre, stimulus) -> sum of notifications
    closed: Counter[tuple[str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.links = {pre: exact(k, pre, "g", WIDTHS[pre]) for k, pre in enumerate(self.pres)}
        self.machine = GroupMachine(
            group_plan(
                "g",
                (0, SIZE, SIZE),
                "tanh",
                tuple(self.links.values()),
                links_out=(exact(9, "g", "post", SIZE),),
                join=self.join,
                update=UpdatePlan("every", every=self.every),
                optimizer=OptimizerPlan("sgd", LR, 1),
            )
        )
        state = self.machine.state()
        self.w = {pre: state[f"w.{pre}"].astype(np.float64) for pre in self.pres}
        self.b = state["b"][:, 0].astype(np.float64)
        self.seq: Counter[str] = Counter()

    def spikes(
        self, pre: str, values: dict[int, np.ndarray], presentation: int = 1, more: bool = False, teach: bool = True
    ) -> None:
        """One pre group's volley comes."""
        ids, rows = np.array(list(values), np.int64), np.array(list(values.values()), np.float32)
        message = wire.Spikes(self.links[pre].index, 1, 1, self.seq[pre], presentation, teach, ids, rows)
        self._come(pre, wire.encode(message), more)

    def errors(self, values: dict[int, np.ndarray]) -> None:
        """Notifications of the post group come."""
        ids, rows = np.array(sorted(values), np.int64), np.array([values[s] for s in sorted(values)], np.float32)
        message = wire.Notifications(9, 1, 1, self.seq["post"], 1, ids, np.ones(len(ids), np.bool_), rows)
        self._come("post", wire.encode(message))

    def closes(self, *ids: int) -> None:
        """Closes of the post group come."""
        self._come("post", wire.encode(wire.Closes(9, 1, 1, self.seq["post"], 1, np.array(ids), False)))

    def idle(self) -> None:
        """Nothing waits in the inbox."""
        self._note(self.machine.handle(Idle(), 0.0))

    def tick(self) -> None:
        """Some time has passed."""
        self._note(self.machine.handle(Tick(), 0.0))

    def count(self, name: str) -> int:
        """A counter of the group."""
        return self.machine.telemetry(0.0).counters[name]

    def _come(self, sender: str, frame: bytes, more: bool = False) -> None:
        self.seq[sender] += 1
        self._note(self.machine.handle(Frame(frame, more), 0.0))

    def _note(self, actions: object) -> None:
        assert isinstance(actions, list)
        for action in actions:
            assert isinstance(action, Send)
            message = wire.decode(action.frame)
            for row, stimulus in enumerate(message.ids.tolist()):
                if isinstance(message, wire.Spikes):
                    assert stimulus not in self.fired, f"{stimulus} has fired twice"
                    self.fired[stimulus] = message.values[row]
                    continue
                key = (action.to, stimulus)
                assert not self.closed[key], f"{key} was closed before"
                if isinstance(message, wire.Notifications):
                    self.told[key] = self.told.get(key, 0) + message.values[row].astype(np.float64)
                    self.closed[key] += int(message.closed[row])
                else:
                    self.closed[key] += 1

    def activation(self, x: dict[str, np.ndarray], w: dict[str, np.ndarray] | None = None) -> np.ndarray:
        """What the group makes of these inputs, in float64."""
        return np.tanh(self.b + sum((w or self.w)[pre] @ x[pre] for pre in self.pres))


def values(seed: int, pre: str, *stimuli: int) -> dict[int, np.ndarray]:
    """Activations of some stimuli, some of them zero."""
    made = {
        s: np.random.default_rng([seed, ord(pre), s]).normal(size=WIDTHS[pre]).astype(np.float32) for s in stimuli
    }
    return {s: np.where(x > 1, 0, x) for s, x in made.items()}


def test_an_unknown_join_is_refused() -> None:
    """A plan that says something else is not taken for one of the two."""
    with pytest.raises(ValueError, match="unknown join 'first': one of match, latest, sum"):
        MixedMemory("first", 2, 8, 1, [1, 1], 1)


def test_an_input_that_fires_twice_while_the_group_waits() -> None:
    """The note's question: 7 of p has come, 8 of p comes while 7 of q is awaited; each policy has its answer."""
    p, q = values(0, "p", 7, 8), values(0, "q", 4, 7, 8)
    for join, expected in {
        "match": {7: (p[7], q[7])},
        "latest": {4: (np.zeros(3), q[4]), 7: (p[7], q[4]), 8: (p[8], q[4])},
        "sum": {7: (p[7] + p[8], q[7])},
    }.items():
        bench = Bench(join)
        bench.spikes("q", {4: q[4]})
        bench.spikes("p", {7: p[7]})
        bench.spikes("p", {8: p[8]})
        bench.spikes("q", {7: q[7]})
        assert sorted(bench.fired) == sorted(expected), join
        for stimulus, (x_p, x_q) in expected.items():
            a = bench.activation({"p": x_p, "q": x_q})
            np.testing.assert_allclose(bench.fired[stimulus], a, atol=1e-6, err_msg=f"{join} {stimulus}")
        assert bench.count("mixed") == {"match": 0, "latest": 2, "sum": 1}[join]
        assert bench.count("late") == 0


@pytest.mark.parametrize("join", ["match", "latest", "sum"])
def test_a_stimulus_that_is_presented_again_begins_anew(join: str) -> None:
    """The same spikes once more are a repair of the source's, and neither added nor joined with the first."""
    p, q = values(1, "p", 7), values(1, "q", 7)
    bench = Bench(join)
    bench.spikes("p", p)
    bench.fired.clear()
    bench.spikes("p", p, presentation=2, more=True)
    bench.spikes("q", q, presentation=2)
    np.testing.assert_allclose(bench.fired[7], bench.activation({"p": p[7], "q": q[7]}), atol=1e-6)
    bench.spikes("q", q, presentation=1)
    assert bench.count("late") == 1


@pytest.mark.parametrize("join", ["latest", "sum"])
def test_the_gradient_is_that_of_the_mixed_input(join: str) -> None:
    """By finite differences: every weight, and every spike of every stimulus that the input was mixed from."""
    p, q = values(2, "p", 7, 8), values(2, "q", 4, 7)
    bench = Bench(join, every=1)
    if join == "latest":
        bench.spikes("q", {4: q[4]})
    bench.spikes("p", {7: p[7]})
    bench.spikes("p", {8: p[8]})
    if join == "sum":
        bench.spikes("q", {7: q[7]})
    spikes = (
        {("p", 7): p[7], ("q", 4): q[4]} if join == "latest" else {("p", 7): p[7], ("p", 8): p[8], ("q", 7): q[7]}
    )
    e = np.array([1.0, -2.0, 0.5, 3.0])

    def loss(spikes: dict[tuple[str, int], np.ndarray], w: dict[str, np.ndarray]) -> float:
        x = {pre: sum(v for (of, _), v in spikes.items() if of == pre) for pre in "pq"}
        return float(e @ bench.activation(x, w))

    bench.errors({7: e})
    step = 1e-6
    assert set(bench.told) == set(spikes)
    for key, x in spikes.items():
        for i in range(len(x)):
            up, down = ({**spikes, key: x + sign * step * np.eye(len(x))[i]} for sign in (1, -1))
            slope = (loss(up, bench.w) - loss(down, bench.w)) / (2 * step)
            np.testing.assert_allclose(bench.told[key][i], slope, atol=1e-5)
    after = bench.machine.state()
    for pre, w in bench.w.items():
        for i, j in np.ndindex(w.shape):
            bump = np.zeros_like(w)
            bump[i, j] = step
            slope = (loss(spikes, {**bench.w, pre: w + bump}) - loss(spikes, {**bench.w, pre: w - bump})) / (2 * step)
            np.testing.assert_allclose(w[i, j] - after[f"w.{pre}"][i, j], LR * slope, atol=1e-5)


class Model:
    """What `joins.py` says in words, done one stimulus at a time with lists, as an oracle."""

    def __init__(self, join: str, pres: str) -> None:
        self.join, self.pres = join, pres
        self.holds: dict[int, dict[str, list[int]]] = {}  # stimulus -> pre -> stimuli whose inputs it holds
        self.fired: list[int] = []
        self.last: dict[str, int] = {}

    def come(self, pre: str, stimuli: list[int]) -> None:
        if self.join == "sum":
            for s, held in self.holds.items():
                if s not in self.fired and pre in held:
                    held[pre] += stimuli
        self.last[pre] = stimuli[-1]
        for s in stimuli:
            if s in self.fired:
                continue
            held = self.holds.setdefault(s, {})
            held[pre] = [s]
            if self.join == "latest":
                held |= {other: [self.last[other]] for other in self.pres if other in self.last and other != pre}
            if self.join == "latest" or set(held) == set(self.pres):
                self.fired.append(s)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("join", ["latest", "sum"])
def test_any_order_of_inputs_and_errors_gives_the_gradient_that_is_claimed(join: str, seed: int) -> None:
    """Over random orders: spikes, notifications and weights are those of a model that keeps lists; all is closed."""
    rng, pres, n = np.random.default_rng(seed), "pqr"[: 2 + seed % 2], 24
    bench, model = Bench(join, pres, every=n), Model(join, pres)
    x = {pre: values(seed, pre, *range(n)) for pre in pres}
    at, owed, errors = dict.fromkeys(pres, 0), [], {}
    done: set[int] = set()
    while any(k < n for k in at.values()) or owed:
        pre = rng.choice([p for p in pres if at[p] < n] or [pres[0]])
        if at[pre] < n and (rng.random() < 0.6 or not owed):
            stimuli = list(range(at[pre], min(n, at[pre] + int(rng.integers(1, 5)))))
            at[pre] = stimuli[-1] + 1
            bench.spikes(pre, {s: x[pre][s] for s in stimuli})
            model.come(pre, stimuli)
        elif owed:
            some = sorted(rng.choice(owed, int(rng.integers(1, len(owed) + 1)), replace=False).tolist())
            errors |= (new := {s: rng.normal(size=SIZE) for s in some})
            bench.errors(new)
            done |= set(some)
        owed = [s for s in model.fired if s not in done]
        if rng.random() < 0.2:
            assert len(bench.machine.memory) == len(model.holds) - len(done)

    assert sorted(bench.fired) == list(range(n))
    told: dict[tuple[str, int], np.ndarray] = defaultdict(lambda: np.zeros(3))
    g = {pre: np.zeros_like(w) for pre, w in bench.w.items()}
    for s in range(n):
        held = {pre: sum((x[pre][j] for j in model.holds[s].get(pre, [])), np.zeros(WIDTHS[pre])) for pre in pres}
        a = bench.activation(held)
        np.testing.assert_allclose(bench.fired[s], a, atol=1e-5)
        d = (1 - a * a) * errors[s]
        for pre in pres:
            g[pre] += np.outer(d, held[pre])
            for j in model.holds[s].get(pre, []):
                told[pre, j] = told[pre, j][: WIDTHS[pre]] + bench.w[pre].T @ d
    assert set(bench.told) == set(told)
    for key, expected in told.items():
        np.testing.assert_allclose(bench.told[key], expected, atol=1e-4, err_msg=str(key))
    after = bench.machine.state()
    for pre, w in bench.w.items():
        np.testing.assert_allclose(w - after[f"w.{pre}"], LR * g[pre], atol=1e-3)
    bench.tick()
    assert bench.closed == {(pre, s): 1 for pre in pres for s in range(n)}, "closed once each, after all else"
    assert len(bench.machine.memory) == bench.count("late") == bench.count("expired") == bench.count("unsent") == 0


def test_the_last_of_a_link_is_held_while_others_may_take_it() -> None:
    """It is closed when a newer one has come; when nothing is open, as soon as nothing newer is known of."""
    p, q = values(3, "p", *range(9)), values(3, "q", *range(9))
    bench = Bench("latest")
    bench.spikes("q", {0: q[0]})
    bench.spikes("p", {0: p[0]})
    bench.closes(0)
    bench.idle()
    assert bench.closed == {("q", 0): 1, ("p", 0): 1}, "a window of one goes on"

    bench.spikes("p", {1: p[1]})
    bench.errors({1: np.ones(SIZE)})
    assert ("q", 0) not in bench.told
    assert bench.count("unsent") == 1

    bench.spikes("p", {2: p[2]})
    bench.closes(2)
    bench.spikes("q", {1: q[1]})
    bench.idle()
    assert ("q", 1) not in bench.closed, "2 has been heard of: it will come from q too"
    bench.spikes("p", {3: p[3]})
    bench.errors({3: np.ones(SIZE)})
    assert ("q", 1) in bench.told
    bench.tick()
    assert ("q", 1) in bench.closed, "2 of q may have been lost"


@pytest.mark.parametrize("join", ["latest", "sum"])
@pytest.mark.parametrize("block", range(2))
def test_no_fault_of_the_messenger_hangs_or_miscounts(join: str, block: int) -> None:
    """Of any seed of drops, delays, reordering and duplicates each stimulus counts once, and the books are right."""
    examples = data.load("digits", test=0.05)
    for seed in range(10 * block, 10 * block + 10):
        network = build(seed, draw_faults(seed), join=join, lr=1e-4)
        total = round(network.plan.source.epochs * len(examples.x_train))
        try:
            network.run(limit_s=20_000)
            source = network.counters(SOURCE)
            assert [e.kind for e in network.events if e.kind in ("finished", "diverged")] == ["finished"]
            assert source["confirmed"] == source["presented"] == total
            assert source["eval_stimuli"] == len(examples.x_test)
            check_books(network)
            network.history.clean = network.faults.drop == 0
            check(network.history, total)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {network.faults}: {error}") from error


@pytest.mark.parametrize("join", ["latest", "sum"])
def test_an_evaluation_is_joined_by_match(join: str) -> None:
    """A stimulus that does not teach waits for its own inputs alone, and is no part of any that teaches."""
    p, q = values(4, "p", 0, 1, EVALUATION), values(4, "q", 0, 1, EVALUATION)
    bench = Bench(join)
    bench.spikes("q", {0: q[0]})
    bench.spikes("p", {0: p[0]})
    bench.spikes("p", {1: p[1]})
    bench.spikes("p", {EVALUATION: p[EVALUATION]}, teach=False)
    assert EVALUATION not in bench.fired
    bench.spikes("q", {EVALUATION: q[EVALUATION]}, teach=False)
    own = bench.activation({"p": p[EVALUATION], "q": q[EVALUATION]})
    np.testing.assert_allclose(bench.fired[EVALUATION], own, atol=1e-6)
    bench.spikes("q", {1: q[1]})
    x_q = {"latest": q[0], "sum": q[1]}[join]
    np.testing.assert_allclose(bench.fired[1], bench.activation({"p": p[1], "q": x_q}), atol=1e-6)


@pytest.mark.parametrize("join", ["latest", "sum"])
def test_an_evaluation_says_what_the_weights_say(join: str) -> None:
    """The live network's accuracy at the end of a run is that of the plain forward pass of its weights."""
    changes = ("source.epochs=0.3", "source.opening=0", "defaults.group.optimizer.lr=0.01")
    plan = plan_of("skip", f"groups.out.join={join}", *changes)
    examples = data.load("digits")
    network = Network(plan, examples, 1, Faults(delay_s=0.01))
    network.run()
    assert network.counters("out")["mixed"] > 100
    told = next(e for e in network.events if e.kind == "finished").data
    x = examples.x_test.astype(np.float32) * np.float32(examples.scale)
    hits = np.argmax(forward(plan, network.weights(), x), axis=1) == examples.y_test
    assert told["test_accuracy"] == pytest.approx(hits.mean(), abs=1e-9)


def test_what_comes_before_it_fires_is_taken() -> None:
    """Under latest a stimulus whose other input waits in the inbox beside the first fires with its own."""
    p, q = values(5, "p", 7), values(5, "q", 4, 7)
    bench = Bench("latest")
    bench.spikes("q", {4: q[4]})
    bench.spikes("p", {7: p[7]}, more=True)
    bench.spikes("q", {7: q[7]})
    np.testing.assert_allclose(bench.fired[7], bench.activation({"p": p[7], "q": q[7]}), atol=1e-6)


def test_a_skip_network_learns_with_what_was_last() -> None:
    """With join: latest and a second layer that lags far behind, digits are learned in five epochs."""
    plan = plan_of("skip", "groups.out.join=latest", "source.epochs=5")
    network = Network(plan, data.load("digits"), 1, Faults(slow={"h2": 8.0}))
    network.run()
    counters = network.counters("out")
    assert counters["mixed"] > 0.8 * counters["stimuli"]
    assert next(e for e in network.events if e.kind == "finished").data["test_accuracy"] > 0.88
