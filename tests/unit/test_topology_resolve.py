# ruff: noqa: E501 - a message stands on one line, as its reader sees it
"""From topology to plan: shards, link numbers, order, and how a topology must fit its data."""

import json
from itertools import pairwise

import pytest

from topology.errors import TopologyError
from topology.graph import Graph, shards
from topology.load import load, loads
from topology.plan import NotifyPlan, Plan, UpdatePlan, plan_from_dict, to_dict
from topology.resolve import DataShape, check_data, resolve
from topology.sound import sound_plan

DIGITS = DataShape(features=64, classes=10, targets=1, train=1437, test=360)
PRICES = DataShape(features=64, classes=0, targets=3, train=100, test=20)


def diamond(**changes: str) -> Plan:
    """A diamond with a skip link, written in no helpful order, with b and d sharded."""
    text = """\
neurond: 1
seed: 5
source: {data: digits, epochs: 2, window: 100, volley: 16}
groups:
  out: {size: 10, neuron: linear}
  d: {size: 7, shards: 3}
  c: {size: 4, neuron: leaky_relu, memory: 512}
  b: {size: 5, shards: 2, update: {rule: always}}
  a: {size: 6, optimizer: {kind: adam, schedule: linear}}
loss: {reads: out}
links:
  d -> out: {coding: small, values: uint8}
  b -> d: {notify: {rule: top_k, k: 2}}
  c -> d: {notify: {rule: exact}}
  a -> b:
  a -> c:
  a -> out:
  source -> a:
"""
    return resolve(loads(text, overrides=[f"{k}={v}" for k, v in changes.items()]), DIGITS)


def test_plan_groups_follow_the_links() -> None:
    """Every process stands behind all that feed it, and shards stand together."""
    plan = diamond()
    assert plan.processes == ("source", "a", "b.0", "b.1", "c", "d.0", "d.1", "d.2", "out")
    place = {name: i for i, name in enumerate(plan.processes)}
    assert all(place[link.pre] < place[link.post] for g in plan.groups for link in g.links_in)


def test_links_are_numbered_and_both_ends_agree() -> None:
    """Numbers are 0.. without a gap, confirmations come next, and what one end sends on the other end hears."""
    plan = diamond()
    outgoing = {link.index: link for g in (plan.source, *plan.groups) for link in g.links_out}
    incoming = {link.index: link for g in plan.groups for link in g.links_in}
    assert outgoing == incoming
    assert sorted(outgoing) == list(range(3 + 6 + 3 + 2 + 1 + 1 + 1))
    assert plan.source.confirms == len(outgoing)
    out = plan.group("out")
    assert out.loss is not None
    assert out.loss.confirms == plan.source.confirms
    assert [g.name for g in plan.groups if g.loss is not None] == ["out"] == [plan.source.readout]
    assert all(link.post == g.name for g in plan.groups for link in g.links_in)
    assert all(link.pre == g.name for g in plan.groups for link in g.links_out)


def test_shards_split_a_group() -> None:
    """Shards cover a group without overlap, fan-in counts whole groups, and each shard is wired to each."""
    plan = diamond()
    d = [plan.group(f"d.{i}") for i in range(3)]
    assert [(g.group, g.start, g.size, g.group_size) for g in d] == [("d", 0, 3, 7), ("d", 3, 2, 7), ("d", 5, 2, 7)]
    assert {g.fan_in for g in d} == {5 + 4}
    assert plan.group("a").fan_in == 64
    assert plan.group("out").fan_in == 7 + 6
    into = [(link.pre, link.pre_group, link.pre_start, link.n_pre, link.pre_size) for link in d[1].links_in]
    assert into == [("b.0", "b", 0, 3, 5), ("b.1", "b", 3, 2, 5), ("c", "c", 0, 4, 4)]


def test_numbers_arrive_in_the_plan() -> None:
    """Rules, coding, learning-rate unit, horizon, memory and seed are those of the topology."""
    plan = diamond()
    rules = {(link.pre, link.post): link.notify for g in plan.groups for link in g.links_in}
    assert rules["b.0", "d.0"] == NotifyPlan("top_k", threshold=0.0, k=2)
    assert rules["c", "d.0"] == NotifyPlan("exact", threshold=0.0)
    assert rules["a", "c"] == NotifyPlan("stochastic", threshold=0.3)
    assert {(link.coding, link.values) for link in plan.group("out").links_in} == {
        ("small", "uint8"),
        ("fast", "float32"),
    }
    a = plan.group("a")
    assert (a.optimizer.kind, a.optimizer.lr_unit, a.optimizer.horizon) == ("adam", 16, 2 * 1437)
    assert plan.group("b.0").update.rule == "always"
    assert (plan.group("c").neuron, plan.group("c").slope, plan.group("c").memory) == ("leaky_relu", 0.01, 512)
    assert {g.seed for g in plan.groups} == {plan.seed, plan.source.seed} == {5}
    assert (plan.source.window, plan.source.features, plan.source.classes) == (100, 64, 10)


def test_what_steers_repairs_and_looks_ahead_arrives_in_the_plan() -> None:
    """Steered thresholds, repairs, steps, remedies, feedback and window, through JSON and back; off unless written."""
    written = {
        "defaults.link.notify": "{rule: residual, adapt: neuron, target: 0.3, residual_clip: 2, flush: 50}",
        "defaults.link.feedback": "random",
        "defaults.group.optimizer": "{kind: momentum, schedule: step, steps: [0.25, 0.5], factor: 0.5}",
        "defaults.group.update": "{adapt: link, target: 0.01, residual_clip: 3, flush: 70}",
        "defaults.group.look_ahead": "1",
        "defaults.group.delay_compensation": "0.5",
        "groups.h2.memory": "512",
        "source.window_by": "gradients",
    }
    plan = resolve(load("digits", [f"{key}={value}" for key, value in written.items()]), DIGITS)
    assert sound_plan(json.dumps(to_dict(plan))) == plan
    h2, off = plan.group("h2"), resolve(load("digits"), DIGITS)
    (link,) = h2.links_in
    assert link.feedback == "random"
    assert link.notify == NotifyPlan("residual", 0.3, adapt="neuron", target=0.3, residual_clip=2.0, flush=50)
    assert h2.update == UpdatePlan(adapt="link", target=0.01, residual_clip=3.0, flush=70)
    assert (h2.optimizer.schedule, h2.optimizer.steps, h2.optimizer.factor) == ("step", (0.25, 0.5), 0.5)
    assert (h2.look_ahead, h2.delay_compensation) == (1.0, 0.5)
    assert (plan.source.window_by, plan.source.places) == ("gradients", 512 // 4)
    assert (off.group("h2").links_in[0].feedback, off.source.window_by) == ("weights", "stimuli")
    assert off.group("h2").update.adapt == off.group("h2").links_in[0].notify.adapt == "off"


@pytest.mark.parametrize(
    ("window", "unit", "memory"), [(1, 1, 256), (16, 16, 256), (17, 16, 512), (128, 16, 2048), (1000, 16, 16384)]
)
def test_window_sets_rate_unit_and_memory(window: int, unit: int, memory: int) -> None:
    """A learning rate is that of min(volley, window) stimuli; memory is a power of two, of 16 windows at least."""
    a = diamond(**{"source.window": str(window), "groups.c.memory": "null"}).group("a")
    assert (a.optimizer.lr_unit, a.memory) == (unit, memory)


def test_coding_follows_the_transport_unless_written() -> None:
    """Links that do not say are fast on ipc and small on tcp; those that say stay."""
    t = load("digits", ["links.h1->h2.coding=fast"])
    for transport, expected in (("ipc", ["fast", "fast", "fast"]), ("tcp", ["small", "fast", "small"])):
        plan = resolve(t, DIGITS, transport="tcp" if transport == "tcp" else "ipc")
        assert [link.coding for g in plan.groups for link in g.links_in] == expected


def test_a_plan_survives_the_trip_to_a_process() -> None:
    """As plain maps and back, a plan is the same."""
    plan = diamond()
    assert plan_from_dict(to_dict(plan)) == plan
    assert resolve(load("digits"), DIGITS, data_dir="/data").source.data_dir == "/data"


@pytest.mark.parametrize("name", ["deep", "digits", "sharded", "skip"])
def test_the_zoo_fits_its_data(name: str) -> None:
    """The networks on digits resolve against the shape of digits."""
    assert resolve(load(name), DIGITS).source.data == "digits"


@pytest.mark.parametrize(("kind", "targets", "one_hot"), [("cross-entropy", 1, False), ("mse", 10, True)])
def test_targets_for_classes(kind: str, targets: int, one_hot: bool) -> None:
    """Cross-entropy gets a class index; mse on classes gets one-hot vectors."""
    plan = resolve(load("digits", [f"loss.kind={kind}"]), DIGITS)
    loss = plan.group("out").loss
    assert loss is not None
    assert (loss.kind, loss.targets, plan.source.targets, plan.source.one_hot) == (kind, targets, targets, one_hot)


def test_targets_for_regression() -> None:
    """Mse on numbers gets the numbers."""
    plan = resolve(load("digits", ["loss.kind=mse", "groups.out.size=3"]), PRICES)
    assert (plan.source.targets, plan.source.one_hot, plan.source.classes) == (3, False, 0)


@pytest.mark.parametrize(
    ("overrides", "shape", "line"),
    [
        ([], DataShape(64, 7, 1, 9, 9), "digits.yaml:9:15: groups.out.size: the readout has 10 neurons, but 'digits' has 7 classes, did you mean 7?"),
        (["loss.kind=mse"], DataShape(64, 2, 1, 9, 9), "digits.yaml:9:15: groups.out.size: the readout has 10 neurons, but 'digits' has 2 classes, did you mean 2?"),
        (["groups.out.size=3"], PRICES, "digits.yaml:10:26: loss.kind: cross-entropy is for classes, but 'digits' has numbers to predict, did you mean 'mse'?"),
        (["loss.kind=mse"], PRICES, "digits.yaml:9:15: groups.out.size: the readout has 10 neurons, but a target of 'digits' has 3 numbers, did you mean 3?"),
        (["groups.out.size=9"], DIGITS, "--set groups.out.size: the readout has 9 neurons, but 'digits' has 10 classes, did you mean 10?"),
        ([], DataShape(64, 10, 1, 0, 9), "digits.yaml:5:16: source.data: 'digits' holds no stimuli to train on"),
        ([], DataShape(0, 10, 1, 9, 9), "digits.yaml:5:16: source.data: 'digits' holds no inputs"),
        ([], DataShape(64, 1, 1, 9, 9), "digits.yaml:5:16: source.data: 'digits' holds one class only"),
        ([], DataShape(70_000, 10, 1, 9, 9), "digits.yaml:5:16: source.data: 70,000 inputs are more than 65,535"),
        (["source.volley=4096", "source.window=4096", "defaults.group.memory=4096"], DataShape(2000, 10, 1, 9, 9), "digits.yaml:5:16: source.data: 4,096 stimuli of 2,000 inputs are more than a frame holds, 4,194,304 values, use smaller volleys"),
        (["groups.h1.size=40000"], DIGITS, "--set groups.h1.size: 128 stimuli of 40,000 neurons in a process are more than a frame holds, 4,194,304 values, use shards"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_data_is_located(overrides: list[str], shape: DataShape, line: str) -> None:
    """Sizes and losses that do not fit the data name the place in the file, or the override, where they are set."""
    text = """\
neurond: 1
seed: 1

# a comment
source: {data: digits}
groups:
  h1:  {size: 64}
  h2:  {size: 32}
  out: {size: 10}
loss: {reads: out, kind: cross-entropy}
links: {source -> h1: , h1 -> h2: , h2 -> out: }
"""
    t = loads(text, "digits.yaml", overrides)
    for ask in (check_data, resolve):
        with pytest.raises(TopologyError) as caught:
            ask(t, shape)
        assert str(caught.value) == line


def test_a_topology_changed_by_a_program_is_checked_again() -> None:
    """Resolve trusts no topology that did not come from a file: a cycle made in Python is refused."""
    t = load("digits")
    t = t.model_copy(update={"links": {**t.links, "out -> h1": t.links["h1 -> h2"]}})
    with pytest.raises(TopologyError, match="closes the cycle h1 -> h2 -> out -> h1"):
        resolve(t, DIGITS)


@pytest.mark.parametrize(("size", "count"), [(10, 1), (10, 3), (7, 7), (100, 8), (1000, 999)])
def test_shards_are_even_and_complete(size: int, count: int) -> None:
    """Shards follow each other without gap, and no two differ by more than a neuron."""
    parts = shards(size, count)
    assert [start for start, _ in parts] == [sum(n for _, n in parts[:i]) for i in range(count)]
    sizes = [n for _, n in parts]
    assert sum(sizes) == size
    assert max(sizes) - min(sizes) <= 1


def test_questions_to_a_graph() -> None:
    """Pre and post groups, and those that are left out."""
    graph = Graph("dcbax", [("source", "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("x", "d")])
    assert graph.pre("d") == ("b", "c", "a", "x")
    assert graph.post("a") == ("b", "c", "d")
    assert graph.cycles() == []
    assert graph.unfed() == ("x",)
    assert graph.unread("c") == ("d", "b", "x")


def test_depth_is_the_longest_way() -> None:
    """A skip link does not make a network less deep, and a group that nothing feeds is on no way."""
    chain = [("source", "a"), ("a", "b"), ("b", "c"), ("a", "c"), ("x", "y")]
    assert Graph("abcxy", chain).depth() == 3
    assert Graph("a", [("source", "a")]).depth() == 1


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_closes_that_a_whole_chain_holds_back_fit_its_memory(depth: int) -> None:
    """However deep a network is, its groups together hold a quarter of the memory back at most."""
    names = [f"g{k}" for k in range(depth)]
    groups = ", ".join(f"{name}: {{size: 10, memory: 1024}}" for name in names)
    links = ", ".join(f"{pre} -> {post}: null" for pre, post in pairwise(["source", *names]))
    text = f"neurond: 1\nname: chain\nsource: {{data: digits}}\ngroups: {{{groups}}}\nloss: {{reads: {names[-1]}}}\n"
    plan = resolve(loads(text + f"links: {{{links}}}\n"), DIGITS)
    held = [plan.group(name).hold for name in names]
    assert 1024 / 8 < sum(held) <= 1024 / 4


def test_cycles_are_found_apart() -> None:
    """Two cycles are both named; groups that only lead into or out of a cycle are not."""
    links = [
        ("source", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "b"),
        ("c", "d"),
        ("d", "e"),
        ("e", "f"),
        ("f", "d"),
        ("f", "g"),
    ]
    graph = Graph("abcdefg", links)
    assert {frozenset(cycle) for cycle in graph.cycles()} == {frozenset("bc"), frozenset("def")}
    assert graph.order() == ("a",)
