"""Topology files that are fine: what they mean, defaults, overrides, variables, the zoo, writing them back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import topology
from topology.errors import TopologyError
from topology.load import from_dict, load, loads, zoo
from topology.plan import NotifyPlan, OptimizerPlan, UpdatePlan
from topology.spec import Topology
from topology.write import dump, json_schema

EXAMPLE = """\
neurond: 1                       # version of the file format
name: mnist
seed: 7
source: {data: mnist, epochs: 4, window: 128}
groups:
  h1:  {size: 300, neuron: relu}
  h2:  {size: 100, neuron: relu, shards: 2}       # two processes of 50 neurons
  out: {size: 10,  neuron: linear}
loss: {reads: out, kind: cross-entropy, notify: {rule: stochastic, threshold: 0.5}}
defaults:
  group: {optimizer: {kind: sgd, lr: 0.07}, update: {rule: threshold, threshold: 0.01}}
  link:  {notify: {rule: stochastic, threshold: 0.3}}
links:
  source -> h1:
  h1 -> h2:
  h2 -> out: {coding: small}     # fewest bytes; `fast` is the default on ipc, `small` on tcp
"""

SMALL = """\
neurond: 1
source: {data: digits}
groups: {h: {size: 8}, out: {size: 10, neuron: linear}}
loss: {reads: out}
links: {source -> h: , h -> out: }
"""


def test_the_example_of_the_issue_loads_verbatim() -> None:
    """The documented example means what its comments say."""
    t = loads(EXAMPLE)
    assert (t.name, t.seed, t.source.data, t.source.epochs, t.source.window) == ("mnist", 7, "mnist", 4.0, 128)
    assert [(g.size, g.neuron, g.shards) for g in t.groups.values()] == [
        (300, "relu", 1),
        (100, "relu", 2),
        (10, "linear", 1),
    ]
    assert all(g.optimizer.lr == 0.07 and g.update.threshold == 0.01 for g in t.groups.values())
    assert t.pairs == (("source", "h1"), ("h1", "h2"), ("h2", "out"))
    assert [link.coding for link in t.links.values()] == [None, None, "small"]
    assert t.loss.notify.threshold == 0.5


def test_places_and_limits() -> None:
    """Where processes run and what they may take is said by name, in the file or by --set, and written back."""
    text = EXAMPLE + "place: {h1: box-1.lan, h2.1: box2}\nlimits: {source: {cpus: 0.5, memory: 256m}}\n"
    t = loads(text, "t.yaml", ["place.broker=box1", "limits.h2={memory: 1g}", "limits.out.cpus=2"])
    assert t.place == {"h1": "box-1.lan", "h2.1": "box2", "broker": "box1"}
    assert {name: limits.written() for name, limits in t.limits.items()} == {
        "source": {"cpus": 0.5, "memory": "256m"},
        "h2": {"memory": "1g"},
        "out": {"cpus": 2.0},
    }
    assert loads(dump(t)) == t
    assert "place" not in dump(loads(EXAMPLE))


def test_what_is_not_written_has_the_defaults_of_the_plan() -> None:
    """A file that says little gets the documented defaults, the same that plan.py declares."""
    t = loads(SMALL, "little.yaml")
    assert t.name == "little"
    source = t.source
    assert (source.epochs, source.window, source.volley, source.opening) == (1.0, 128, 16, 4000)
    assert (source.retry_s, source.eval_every, source.label, source.test) == (2.0, 0, None, None)
    h = t.groups["h"]
    assert (h.neuron, h.shards, h.join, h.init, h.memory, h.staleness_decay) == ("relu", 1, "match", "auto", None, 0)
    assert (h.optimizer.kind, h.optimizer.lr) == (OptimizerPlan().kind, OptimizerPlan().lr)
    assert (h.update.rule, h.update.threshold) == (UpdatePlan().rule, UpdatePlan().threshold)
    notify = t.links["h -> out"].notify
    assert (notify.rule, notify.threshold) == (NotifyPlan().rule, NotifyPlan().threshold)
    assert (t.loss.kind, t.loss.notify.rule, t.loss.notify.threshold) == ("cross-entropy", "stochastic", 0.5)


def test_sections_merge_over_defaults_key_by_key() -> None:
    """A group that gives its own learning rate keeps the default's schedule."""
    text = SMALL.replace("h: {size: 8}", "h: {size: 8, optimizer: {lr: 0.5}}")
    t = loads(text + "defaults: {group: {neuron: tanh, optimizer: {lr: 0.1, schedule: cosine}}}\n")
    assert (t.groups["h"].optimizer.lr, t.groups["h"].optimizer.schedule) == (0.5, "cosine")
    assert (t.groups["out"].optimizer.lr, t.groups["out"].optimizer.schedule) == (0.1, "cosine")
    assert (t.groups["h"].neuron, t.groups["out"].neuron) == ("tanh", "linear")


def test_a_rule_of_its_own_does_not_inherit_what_it_cannot_use() -> None:
    """A link with rule exact is not spoilt by the default's threshold, nor is a relu by the default's slope."""
    text = SMALL.replace("h -> out: ", "h -> out: {notify: {rule: exact}}")
    defaults = "defaults: {link: {notify: {threshold: 0.1}}, group: {neuron: leaky_relu, slope: 0.2}}\n"
    t = loads(text + defaults)
    assert t.links["h -> out"].notify.rule == "exact"
    assert t.links["source -> h"].notify.threshold == 0.1
    assert (t.groups["h"].neuron, t.groups["h"].slope, t.groups["out"].neuron) == ("leaky_relu", 0.2, "linear")


@pytest.mark.parametrize("link", ["source->h", "source  ->  h", "'source -> h'", "source-> h"])
def test_space_around_an_arrow_is_free(link: str) -> None:
    """However a link's arrow is spaced, it is the same link."""
    assert loads(SMALL.replace("source -> h", link)) == loads(SMALL)


def test_yaml_is_version_1_2() -> None:
    """`1e-2` is a number, `on` is a word, `010` is ten and `1_0` is no number."""
    t = loads(SMALL, overrides=["groups.h.optimizer.lr=1e-2", "source.data=on", "seed=010"])
    assert (t.groups["h"].optimizer.lr, t.source.data, t.seed) == (0.01, "on", 10)
    with pytest.raises(TopologyError, match="seed: expected a whole number, got '1_0'"):
        loads(SMALL, overrides=["seed=1_0"])


@pytest.mark.parametrize(("written", "seconds"), [("250ms", 0.25), ("2s", 2.0), ("1.5m", 90.0), ("1h", 3600.0)])
def test_durations_have_units(written: str, seconds: float) -> None:
    """A duration is read in the unit that it is written in."""
    assert loads(SMALL, overrides=[f"source.retry={written}"]).source.retry_s == pytest.approx(seconds)
    assert loads(SMALL, overrides=[f"journal={written}"]).journal_s == pytest.approx(seconds)


def test_a_journal_may_be_off() -> None:
    """Without a word there is a journal every quarter of a second, and with `off` there is none."""
    assert loads(SMALL).journal_s == 0.25
    assert loads(SMALL, overrides=["journal=off"]).journal_s == 0.0


@pytest.mark.parametrize(
    ("override", "got"),
    [
        ("groups.h.optimizer.lr=0.02", lambda t: t.groups["h"].optimizer.lr == 0.02),
        ("groups.h.optimizer={kind: adam, beta1: 0.8}", lambda t: t.groups["h"].optimizer.beta1 == 0.8),
        ("links.h->out.notify.threshold=0.1", lambda t: t.links["h -> out"].notify.threshold == 0.1),
        ("links.h -> out.coding=fast", lambda t: t.links["h -> out"].coding == "fast"),
        ("defaults.link.notify.threshold=0", lambda t: t.links["source -> h"].notify.threshold == 0),
        ("defaults.group.update.rule=always", lambda t: t.groups["out"].update.rule == "always"),
        ("defaults.link.notify.rule=exact", lambda t: t.links["h -> out"].notify.rule == "exact"),
        ("loss.notify.rule=exact", lambda t: t.loss.notify.rule == "exact"),
        ("name=other", lambda t: t.name == "other"),
        ("source.data=csv:a=b.csv", lambda t: t.source.data == "csv:a=b.csv"),
    ],
)
def test_set_overrides_any_value(override: str, got: object) -> None:
    """--set reaches every kind of value, and a new rule takes the old rule's numbers away."""
    text = SMALL.replace("reads: out", "reads: out, notify: {threshold: 0.4}")
    t = loads(
        text + "defaults: {link: {notify: {threshold: 0.2}}, group: {update: {threshold: 0.1}}}", "t", [override]
    )
    assert callable(got)
    assert got(t)


def test_later_overrides_win() -> None:
    """Of two values for one key the last is used."""
    assert loads(SMALL, overrides=["seed=1", "seed=2"]).seed == 2


def test_variables_are_expanded() -> None:
    """`${VAR}`, `${VAR:-default}` and `$$` work in bare and quoted scalars and inside braces."""
    text = SMALL.replace("data: digits", "data: 'csv:${DIR}/$$x', epochs: ${EPOCHS:-2.5}, window: ${WINDOW:-64}")
    t = loads(text, env={"DIR": "/d", "WINDOW": "32", "EPOCHS": ""})
    assert (t.source.data, t.source.epochs, t.source.window) == ("csv:/d/$x", 2.5, 32)


def test_a_variable_in_a_comment_is_only_a_comment() -> None:
    """An unset variable in a comment does no harm."""
    assert loads(SMALL + "# ${NOT_SET}\n", env={}) == loads(SMALL)


@pytest.mark.parametrize("name", ["deep", "digits", "mnist", "sharded", "skip", "xor"])
def test_the_zoo_loads_and_writes_back_equal(name: str) -> None:
    """Each ready network is found by bare name, and its resolved form loads back equal, with no override lost."""
    t = load(name)
    assert t.name == name
    assert loads(dump(t)) == t
    changed = load(name, ["seed=99"])
    assert changed != t
    assert loads(dump(changed)).seed == 99


def test_the_zoo_holds_the_promised_networks() -> None:
    """A deep one of 12 groups, a sharded one, one with a skip link, and MNIST as 784-300-100-10."""
    assert zoo() == ("deep", "digits", "mnist", "sharded", "skip", "xor")
    assert len(load("deep").groups) == 12
    assert any(g.shards > 1 for g in load("sharded").groups.values())
    assert {("h1", "h2"), ("h2", "out"), ("h1", "out")} <= set(load("skip").pairs)
    assert [g.size for g in load("mnist").groups.values()] == [300, 100, 10]


def test_a_file_here_comes_before_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name that is a file in the current folder means that file; a folder of that name does not."""
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    assert load("digits").source.epochs == 30
    Path("xor").write_text(SMALL)
    assert load("xor").source.data == "digits"
    assert load(tmp_path / "xor").name == "xor"


def test_a_byte_order_mark_is_no_trouble(tmp_path: Path) -> None:
    """A file that an editor saved with a BOM loads, and line and column stay true."""
    file = tmp_path / "bom.yaml"
    file.write_text(SMALL, encoding="utf-8-sig")
    assert load(file) == loads(SMALL, "bom.yaml")


def test_a_dump_says_everything_and_loads_back_equal() -> None:
    """The resolved form has no defaults section, holds inherited values, and protects `$`."""
    t = loads(EXAMPLE, overrides=["source.data='csv:$$HOME/x'", "source.label=kind"])
    text = dump(t)
    assert "defaults" not in text
    assert text.count("lr: 0.07") == 3
    assert loads(text, env={}) == t


def test_plain_maps_make_a_topology_too() -> None:
    """A program that builds maps gets the same topology as a file with the same content."""
    data = {
        "neurond": 1,
        "source": {"data": "digits"},
        "groups": {"h": {"size": 8}, "out": {"size": 10, "neuron": "linear"}},
        "loss": {"reads": "out"},
        "links": {"source->h": None, "h->out": {}},
    }
    assert from_dict(data) == loads(SMALL)
    with pytest.raises(TopologyError, match="loss: missing key 'reads'"):
        from_dict(data | {"loss": {}})


def test_the_json_schema_knows_every_key_of_the_zoo() -> None:
    """Editors accept what the zoo writes: each key is a property of its section's schema, nothing else is."""
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["required"]) == {"neurond", "source", "groups", "loss", "links"}
    sections = schema["$defs"]
    assert all(section["additionalProperties"] is False for section in sections.values())
    for name in zoo():
        t = load(name).written()
        for body in t["groups"].values():
            assert set(body) <= set(sections["Group"]["properties"])
            assert set(body["optimizer"]) <= set(sections["Optimizer"]["properties"])
        assert set(t["source"]) <= set(sections["Source"]["properties"])
    assert "relu" in sections["Group"]["properties"]["neuron"]["enum"]
    assert {"type": "null"} in schema["properties"]["links"]["additionalProperties"]["anyOf"]


@pytest.mark.parametrize("module", ["wire", "plan", "errors", "graph", "resolve", "check"])
def test_daemons_do_not_pay_for_the_validator(module: str) -> None:
    """What a daemon or a data reader imports brings neither pydantic nor ruamel with it."""
    code = f"import sys, topology.{module}; print([m for m in ('pydantic', 'ruamel.yaml') if m in sys.modules])"
    root = Path(topology.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_the_package_hands_out_its_classes() -> None:
    """`from topology import Topology` works although nothing is imported until then."""
    assert topology.Topology is Topology
    assert all(getattr(topology, name).__name__ == name for name in topology.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = topology.nothing
