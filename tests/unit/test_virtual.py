"""The network in virtual time: what it does to frames and processes, and that it does the same again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurond import data, steady
from neurond.arithmetic import EXACT, FAST, Arithmetic, counting
from neurond.conditions import Conditions, Latency
from neurond.virtual import Network
from tests.fault.networks import build
from tests.simulated import Faults
from topology import wire
from topology.plan import SOURCE

EXAMPLES = data.load("digits", test=0.05)
PLAN = build(3, Faults()).plan
WIDE = Conditions(Latency(0.03, 0.02), loss=0.02, churn_s=20.0, down_s=1.0)


class Watched(Network):
    """A network that notes when each frame was sent and when it came, by the pair of processes."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.went: dict[tuple[str, str], list[tuple[float, bytes]]] = {}
        self.came: dict[tuple[str, str], list[tuple[float, bytes]]] = {}
        self.moments: list[float] = []

    def _post(self, sender: str, to: str, frame: bytes) -> None:
        self.went.setdefault((sender, to), []).append((self.now, frame))
        super()._post(sender, to, frame)

    def _deliver(self, name: str, frame: bytes, sender: str) -> None:
        self.came.setdefault((sender, name), []).append((self.now, frame))
        super()._deliver(name, frame, sender)

    def step(self) -> bool:
        self.moments.append(self.now)
        return super().step()


def network(conditions: Conditions, seed: int = 1, arithmetic: Arithmetic = FAST) -> Watched:
    """A small network, under some conditions."""
    chance = steady.Chance(np.random.SeedSequence(seed))
    return Watched(PLAN, EXAMPLES, chance, conditions, counting(arithmetic))


def run(made: Watched) -> Watched:
    """The same, at its end."""
    while made.step():
        assert made.now < 20_000, "hangs"
    made.drain()
    return made


def test_latency_is_what_was_asked_for() -> None:
    """No frame is sooner than the least of the conditions, and their mean is about that of these."""
    made = run(network(Conditions(Latency(0.03, 0.02))))
    found = np.array(
        [
            came - went
            for pair in made.went
            for (went, sent), (came, frame) in zip(made.went[pair], made.came[pair], strict=True)
            if sent == frame
        ]
    )
    assert len(found) == made.sent.total() > 200
    assert found.min() >= 0.03 - 1e-9
    # A frame that waits for the one before it is later than by chance alone.
    assert 0.05 < found.mean() + 0.005 < 0.08


def test_a_sole_frame_takes_the_latency_of_its_link() -> None:
    """Drawn for one pair of processes, a thousand times: mean and standard deviation."""
    made = network(replace(WIDE, links={("b", "out"): Latency(0.2, 0.1)}))
    for pair, mean, spread in ((("a.0", "b"), 0.05, 0.02), (("b", "out"), 0.3, 0.1)):
        drawn = np.array([made._latency_s(pair) for _ in range(4000)])
        assert drawn.mean() == pytest.approx(mean, rel=0.03)
        assert drawn.std() == pytest.approx(spread, rel=0.08)
        assert drawn.min() >= mean - spread


def test_no_frame_overtakes_another() -> None:
    """Between two processes frames come in the order in which they went, whatever their latencies."""
    made = run(network(Conditions(Latency(0.001, 0.05))))
    for pair, went in made.went.items():
        assert [frame for _, frame in made.came[pair]] == [frame for _, frame in went]


def test_time_never_goes_back() -> None:
    """Virtual time is monotone, also over deaths."""
    made = run(network(WIDE))
    assert made.deaths > 0
    assert all(a <= b for a, b in zip(made.moments, made.moments[1:], strict=False))


def test_losses_are_counted_by_both() -> None:
    """The share of frames that was asked for is lost, and the gaps that the machines count are these."""
    made = run(network(Conditions(Latency(0.01), loss=0.05)))
    assert 0.03 < made.dropped.total() / made.sent.total() < 0.07
    gaps = sum(made.counters(name)["gaps"] for name in made.machines)
    assert 0 < gaps <= made.dropped.total(), "one that is lost after the last that came is missed by nobody"
    assert made.counters(SOURCE)["represented"] > 0
    assert made.counters(SOURCE)["confirmed"] == round(PLAN.source.epochs * len(EXAMPLES.x_train))


def test_the_ledger_balances_at_any_time() -> None:
    """For each pair, at any step: sent = delivered + lost + in flight; nothing is in flight at the end."""
    made, most = network(WIDE), 0

    def balances() -> None:
        under_way = made.in_flight
        for pair, sent in made.sent.items():
            assert sent == made.delivered[pair] + made.dropped[pair] + under_way[pair], pair

    while made.step():
        balances()
        most = max(most, made.in_flight.total())
    made.drain()
    balances()
    assert most > 5
    assert not made.in_flight


@pytest.mark.parametrize("arithmetic", [FAST, EXACT])
def test_the_same_seed_is_the_same_run(arithmetic: Arithmetic) -> None:
    """Every delivery and every weight, with deaths and losses; another seed of the messenger is another run."""
    first, again, other = (run(network(WIDE, seed, arithmetic)) for seed in (1, 1, 2))
    assert first.digest() == again.digest() != other.digest()
    assert first.now == again.now != other.now


def test_the_digest_sees_every_byte_and_every_weight() -> None:
    """It differs with one delivery more, and with one weight's last bit."""
    made = run(network(Conditions()))
    before = made.digest()
    weights = made.groups["b"].dendrites._links[0].w
    weights[0, 0] = np.nextafter(weights[0, 0], np.float32(9))
    changed = made.digest()
    made._deliver("b", b"", SOURCE)
    assert len({before, changed, made.digest()}) == 3


def test_who_is_slow_holds_the_others_up() -> None:
    """A group that is a hundred times slower makes the run take longer, as do bytes that must pass one by one."""
    plain = run(network(Conditions(Latency(0.001))))
    slow = run(network(Conditions(Latency(0.001), slow={"b": 100.0})))
    narrow = run(network(Conditions(Latency(0.001), bytes_per_s=20_000)))
    assert slow.now > 3 * plain.now
    assert narrow.now > 3 * plain.now


def test_a_process_is_busy_with_what_it_multiplies() -> None:
    """With so many multiply-adds a second, and a frame for nothing, time is what the products take."""
    made = network(Conditions(frame_s=0.0, multiplies_per_s=1e6))
    while made.step():
        pass
    assert made._arithmetic.spent() / 1e6 / len(PLAN.groups) < made.now
    assert made.conditions.busy_s("b", 2_000_000) == pytest.approx(2.0)


def test_what_a_process_sends_leaves_when_it_is_done() -> None:
    """And in the order in which it wanted it sent, with what time told it to do meanwhile behind it."""
    made = run(network(Conditions(frame_s=0.4)))  # so that each tick comes in the midst of some work
    for name in made.machines:
        assert made.counters(name)["gaps"] == made.counters(name)["duplicates"] == 0
    (came, _), (went, _) = made.came[SOURCE, "a.0"][0], made.went["a.0", "b"][0]
    assert went == pytest.approx(came + 0.4, abs=1e-4)  # and its products


def test_who_dies_goes_on_from_its_journal() -> None:
    """As the next incarnation, with the weights that it had a moment before."""
    made = network(replace(WIDE, churn_s=1e9))
    while made.counters("b")["updates"] < 5:
        made.step()
    before = made.machines["b"]
    while made.now < made._tick_due - 0.01:
        made.step()
    made.step()  # the tick at which its journal is written
    told: list[tuple[str, int, bool]] = []
    made.on_roster = lambda *what: told.append(what)
    made.kill("b", 0.5)
    kept = {key: array.copy() for key, array in made.journals["b"].items()}
    while made.machines["b"] is before:
        made.step()
    assert told == [("b", 1, False), ("b", 2, True)]
    assert made.counts_on == {"b"}
    for key, array in made.machines["b"].durable().items():
        if key.startswith("w."):
            np.testing.assert_array_equal(array, kept[key])
    run(made)
    assert made.counters(SOURCE)["confirmed"] == round(PLAN.source.epochs * len(EXAMPLES.x_train))


def test_a_command_reaches_the_source() -> None:
    """It is told as a broker tells it, and drains."""
    made = network(Conditions(Latency(0.01)))
    while made.counters(SOURCE)["confirmed"] < 20:
        made.step()
    made.ask(SOURCE, "drain", evaluate=False)
    run(made)
    assert made.finished
    assert 20 <= made.counters(SOURCE)["confirmed"] < 160
    assert [e.kind for e in made.events if e.kind == "finished"] == ["finished"]
    assert isinstance(made.events[-1], wire.Event)
