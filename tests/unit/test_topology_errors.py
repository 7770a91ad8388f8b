# ruff: noqa: E501 - a message stands on one line, as its reader sees it
"""Topology files that are wrong: every problem is one located line in plain words, all of them at once."""

import time
from pathlib import Path

import pytest

from topology.errors import TopologyError
from topology.load import load, loads

GOOD = """\
neurond: 1
name: t
seed: 7
source: {data: digits, epochs: 4, window: 128}
groups:
  h1:  {size: 30, neuron: relu}
  h2:  {size: 10, neuron: relu}
  out: {size: 10, neuron: linear}
loss: {reads: out}
links:
  source -> h1:
  h1 -> h2:
  h2 -> out:
"""


def lines(text: str, *overrides: str, env: dict[str, str] | None = None) -> list[str]:
    """The lines of the error that `text` gives."""
    with pytest.raises(TopologyError) as caught:
        loads(text, "t.yaml", overrides, env or {})
    return str(caught.value).splitlines()


PLACES = """\
place: {h1: box1, h2.1: -x, h2: box 2, boker: box1}
limits:
  out: {cpus: 0, memory: 256}
  h2.2: {memory: 8m, swap: 1g}
"""


def test_places_and_limits_that_cannot_be_meant() -> None:
    """A process that there is not, a host that has no such name and a limit that is none are named where they stand."""
    text = GOOD.replace("neuron: relu}\n  out", "neuron: relu, shards: 2}\n  out") + PLACES
    assert lines(text) == [
        "t.yaml:14:25: place.h2.1: '-x' is no name of a host, write it as `docker node ls` or `hostname` does",
        "t.yaml:14:33: place.h2: 'box 2' is no name of a host, write it as `docker node ls` or `hostname` does",
        "t.yaml:14:40: place.boker: unknown process 'boker', did you mean 'broker'?",
        "t.yaml:16:15: limits.out.cpus: must be above 0, got 0",
        "t.yaml:16:26: limits.out.memory: expected an amount of memory, got 256, write 256m or 2g",
        "t.yaml:17:3: limits.h2.2: unknown process 'h2.2', did you mean 'h2'?",
        "t.yaml:17:18: limits.h2.2.memory: 8m is not enough to start in, a process needs 64m at least",
        "t.yaml:17:22: limits.h2.2.swap: unknown key 'swap', known: cpus, memory",
    ]
    assert lines(GOOD, "place.h3=box1") == [
        "--set place.h3: unknown process 'h3', known: source, broker, h1, h2, out"
    ]


def test_the_good_text_is_good() -> None:
    """What the tests below spoil is fine before."""
    assert loads(GOOD).pairs[-1] == ("h2", "out")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("neuron: linear", "neuron: rellu", "8:27: groups.out.neuron: unknown neuron 'rellu', did you mean 'relu'?"),
        ("neuron: linear", "neuron: ReLU", "8:27: groups.out.neuron: unknown neuron 'ReLU', did you mean 'relu'?"),
        ("size: 30", "sise: 30", "6:9: groups.h1.sise: unknown key 'sise', did you mean 'size'?"),
        ("size: 30", "size: 30, lr: 1", "6:19: groups.h1.lr: unknown key 'lr', did you mean 'optimizer.lr'?"),
        ("size: 30", "size: many", "6:15: groups.h1.size: expected a whole number, got 'many'"),
        ("size: 30", "size: '30'", "6:15: groups.h1.size: expected a whole number, got '30', remove the quotes"),
        ("size: 30", "size: 30.5", "6:15: groups.h1.size: expected a whole number, got 30.5"),
        ("size: 30", "size: true", "6:15: groups.h1.size: expected a whole number, got true"),
        ("size: 30", "size: 0", "6:15: groups.h1.size: must be at least 1, got 0"),
        ("size: 30", "size: 3000000", "6:15: groups.h1.size: must be at most 1,000,000, got 3000000"),
        ("size: 30, ", "", "6:3: groups.h1: missing key 'size'"),
        ("{size: 30, neuron: relu}", "30", "6:8: groups.h1: expected a mapping, got 30"),
        ("{size: 30, neuron: relu}", "", "6:3: groups.h1: expected a mapping, got nothing"),
        ("epochs: 4", "epochs: .inf", "4:32: source.epochs: expected a finite number, got inf"),
        ("epochs: 4", "epochs: .nan", "4:32: source.epochs: expected a finite number, got nan"),
        ("epochs: 4", "epochs: 0", "4:32: source.epochs: must be above 0, got 0"),
        ("epochs: 4", "label: x", "4:31: source.label: label means nothing without csv data, remove it, or use data csv:PATH"),
        ("epochs: 4", "retry: 250", "4:31: source.retry: missing unit, did you mean 250ms or 250s?"),
        ("epochs: 4", "retry: '0.5'", "4:31: source.retry: missing unit, did you mean 0.5ms or 0.5s?"),
        ("epochs: 4", "retry: 5d", "4:31: source.retry: expected a duration, got '5d', write 250ms, 2s, 1m or 1h"),
        ("epochs: 4", "retry: 0s", "4:31: source.retry: expected a duration between 1ms and 24h, got '0s'"),
        ("seed: 7", "seed: -1", "3:7: seed: must be at least 0, got -1"),
        ("name: t", "name: a/b", "2:7: name: 'a/b' is no name, a name is a letter, then up to 31 letters, digits, _ or -"),
        ("neurond: 1", "neurond: 2", "1:10: neurond: unknown format version 2, this neurond reads version 1"),
        ("neurond: 1", "neurond: true", "1:10: neurond: unknown format version true, this neurond reads version 1"),
        ("neurond: 1\n", "", "1:1: missing key 'neurond', begin the file with 'neurond: 1'"),
        ("name: t", "nmae: t", "2:1: nmae: unknown key 'nmae', did you mean 'name'?"),
        ("reads: out", "reads: output", "9:15: loss.reads: unknown group 'output', did you mean 'out'?"),
        ("reads: out", "reads: out, kind: ce", "9:26: loss.kind: unknown kind 'ce', known: cross-entropy, mse"),
        ("h1 -> h2:", "h1 -> hh2:", "12:3: links.h1 -> hh2: unknown group 'hh2', did you mean 'h2'?"),
        ("h1 -> h2:", "h1 => h2:", "12:3: links.h1 => h2: 'h1 => h2' is no link, write it as 'pre -> post'"),
        ("h2 -> out:", "h2 -> out:\n  h2 -> source:", "14:3: links.h2 -> source: nothing can feed the source, did you mean 'source -> h2'?"),
        ("h2 -> out:", "h2 -> out:\n  out -> loss:", "14:3: links.out -> loss: the loss is no group, remove this link and write loss: {reads: out}"),
        ("h2 -> out:", "h2 -> out:\n  h2 -> h2:", "14:3: links.h2 -> h2: a group cannot feed itself"),
        ("h2 -> out:", "h2 -> out:\n  out -> h1:", "14:3: links.out -> h1: closes the cycle h1 -> h2 -> out -> h1, links must not lead back"),
        ("h2 -> out:", "h2 -> out:\n  h1->h2:", "14:3: links.h1 -> h2: duplicate key 'h1 -> h2', it stands on line 12 too"),
        ("seed: 7", "name: u", "3:1: name: duplicate key 'name', it stands on line 2 too"),
        ("size: 30", "size: 30, size: 31", "6:19: groups.h1.size: duplicate key 'size', it stands on line 6 too"),
        ("  source -> h1:\n", "  source -> h1: {coding: tiny}\n", "11:26: links.source -> h1.coding: unknown coding 'tiny', known: fast, small"),
        ("size: 10, neuron: linear", "size: 10, shards: 2", "8:27: groups.out.shards: the readout cannot be sharded: its loss needs every output, remove shards"),
        ("size: 30", "size: 30, shards: 31", "6:27: groups.h1.shards: 31 shards for 30 neurons, a shard owns at least one neuron"),
        ("size: 30", "size: 30, join: sum, update: {rule: literal}", "6:25: groups.h1.join: join 'sum' does not go with update rule 'literal', use join match, or another rule"),
        ("size: 30", "size: 30, update: {trace: 0.5}", "6:35: groups.h1.update.trace: trace means nothing with rule 'threshold', remove it, or use rule literal"),
        ("size: 30", "size: 30, join: last", "6:25: groups.h1.join: unknown join 'last', did you mean 'latest'?"),
        ("size: 30", "size: 30, memory: 300", "6:27: groups.h1.memory: expected a power of two, got 300, did you mean 512?"),
        ("size: 30", "size: 30, memory: 64", "6:27: groups.h1.memory: 64 stimuli are fewer than the window of 128, stimuli in flight would be forgotten"),
        ("size: 30", "size: 30, slope: 0.1", "6:26: groups.h1.slope: slope means nothing with neuron 'relu', remove it, or use neuron leaky_relu"),
        ("size: 30", "size: 30, optimizer: {lr: 0}", "6:35: groups.h1.optimizer.lr: must be above 0, got 0"),
        ("size: 30", "size: 30, optimizer: {beta1: 0.5}", "6:38: groups.h1.optimizer.beta1: beta1 means nothing with kind 'sgd', remove it, or use kind adam"),
        ("size: 30", "size: 30, update: {rule: every}", "6:27: groups.h1.update: rule 'every' needs every"),
        ("size: 30", "size: 30, update: {threshold: 0, release: quantum}", "6:51: groups.h1.update.release: release 'quantum' makes whole multiples of the threshold, so that must be above 0"),
        ("size: 30", "size: 30, optimizer: {schedule: step}", "6:30: groups.h1.optimizer: schedule 'step' needs steps"),
        ("size: 30", "size: 30, optimizer: {schedule: step, steps: [0.5, 0.2]}", "6:54: groups.h1.optimizer.steps: steps must ascend"),
        ("size: 30", "size: 30, optimizer: {schedule: step, steps: [0.5, 1]}", "6:60: groups.h1.optimizer.steps.1: must be below 1, got 1"),
        ("size: 30", "size: 30, optimizer: {schedule: step, steps: 0.5}", "6:54: groups.h1.optimizer.steps: expected a list, got 0.5"),
        ("size: 30", "size: 30, optimizer: {steps: [0.5]}", "6:38: groups.h1.optimizer.steps: steps means nothing with schedule 'constant', remove it, or use schedule step"),
        ("size: 30", "size: 30, look_ahead: 1", "6:31: groups.h1.look_ahead: optimizer 'sgd' has no velocity to look ahead by, use optimizer.kind momentum or adam"),
        ("size: 30", "size: 30, update: {threshold: 0, adapt: link}", "6:49: groups.h1.update.adapt: adapt 'link' steers the threshold from where it is, so that must be above 0"),
        ("size: 30", "size: 30, update: {target: 0.1}", "6:36: groups.h1.update.target: target means nothing with adapt 'off', remove it, or use adapt link or neuron"),
        ("size: 30", "size: 30, update: {rule: always, flush: 9}", "6:49: groups.h1.update.flush: flush means nothing with rule 'always', remove it, or use rule threshold"),
        ("reads: out", "reads: out, notify: {adapt: always}", "9:36: loss.notify.adapt: unknown adapt 'always', known: off, link, neuron"),
        ("reads: out", "reads: out, notify: {rule: exact, adapt: link}", "9:49: loss.notify.adapt: adapt means nothing with rule 'exact', remove it, or use rule drop or residual or quantum or stochastic or sampled"),
        ("reads: out", "reads: out, notify: {flush: 9}", "9:36: loss.notify.flush: flush means nothing with rule 'stochastic', remove it, or use rule residual or quantum"),
        ("reads: out", "reads: out, notify: {rule: residual, residual_clip: 1}", "9:60: loss.notify.residual_clip: a clip at 1 thresholds would let nothing pass, use a number above 1, such as 2"),
        ("reads: out", "reads: out, notify: {rule: residual, threshold: 0, residual_clip: 2}", "9:74: loss.notify.residual_clip: a clip at 2 thresholds of 0 would let nothing pass, use a threshold above 0, or remove it"),
        ("size: 30", "size: 30, update: {threshold: 0, residual_clip: 2}", "6:57: groups.h1.update.residual_clip: a clip at 2 thresholds of 0 would let nothing pass, use a threshold above 0, or remove it"),
        ("reads: out", "reads: out, notify: {threshold: 1e-320}", "9:40: loss.notify.threshold: must be 0, or at least 1e-12, got 1e-320, smaller ones vanish in float32"),
        ("size: 30", "size: 30, update: {threshold: 1e-39}", "6:39: groups.h1.update.threshold: must be 0, or at least 1e-12, got 1e-39, smaller ones vanish in float32"),
        ("size: 30", "size: 30, update: {adapt: link, target: 1e-320}", "6:49: groups.h1.update.target: must be at least 1e-12, got 1e-320, smaller ones vanish in float32"),
        ("size: 30", "size: 30, update: {cool: 1e-40}", "6:34: groups.h1.update.cool: must be at least 1e-12, got 1e-40, smaller ones vanish in float32"),
        ("size: 30", "size: 30, optimizer: {lr: 1e-46}", "6:35: groups.h1.optimizer.lr: must be at least 1e-12, got 1e-46, smaller ones vanish in float32"),
        ("epochs: 4", "window_by: gradient", "4:35: source.window_by: unknown window_by 'gradient', did you mean 'gradients'?"),
        ("  source -> h1:\n", "  source -> h1: {feedback: fixed}\n", "11:28: links.source -> h1.feedback: unknown feedback 'fixed', known: weights, random"),
        ("reads: out", "reads: out, notify: {k: 3}", "9:32: loss.notify.k: k means nothing with rule 'stochastic', remove it, or use rule top_k"),
        ("reads: out", "reads: out, notify: {rule: top_k}", "9:28: loss.notify: rule 'top_k' needs k"),
        ("reads: out", "reads: out, notify: {rule: quantum, threshold: 0}", "9:55: loss.notify.threshold: rule 'quantum' sends whole multiples of the threshold, so it must be above 0"),
        ("seed: 7", "seed: ${SEED}", "3:7: seed: the variable SEED is not set, set it or write ${SEED:-default}"),
        ("seed: 7", "seed: '${SEED'", "3:7: seed: a `${` that is no variable, write ${VAR} or ${VAR:-default}, or $$ for a $"),
        ("seed: 7", 'seed: "\\0"', "3:7: seed: a control character (U+0000), remove it"),
        ("seed: 7", "seed: &x 7", "3:7: seed: anchors and aliases (& and *) are not supported, write the value out"),
        ("seed: 7", "seed: *x", "3:7: seed: anchors and aliases (& and *) are not supported, write the value out"),
        ("seed: 7", "seed: !!python/none 7", "3:7: seed: the tag '!!python/none' is not supported, remove it"),
        ("seed: 7", "? [seed]", "3:3: a key must be a word, not a mapping or a list"),
        ("seed: 7", "---", "3:1: a second document starts here, a file holds one topology"),
        ("seed: 7", "\tseed: 7", "3:1: a tab where YAML allows only spaces, replace it with spaces"),
        ("seed: 7", "seed: a: 7", "3:8: broken YAML: a ':' that does not fit here, check the indentation; quote text with ': '"),
        ("seed: 7", 'seed: "\\UFFFFFFFF"', "3:1: broken YAML"),
        ("seed: 7", "seed: \x07", "3:7: a character that YAML does not allow (U+0007)"),
        ("seed: 7", "seed: \U000f0041", "3:7: a private-use character"),
        ("h2 -> out:", "h2 -> out: {", "14:1: broken YAML: the file ends inside a quote or bracket, close it"),
    ],
)  # fmt: skip
def test_one_slip_is_one_line(old: str, new: str, line: str) -> None:
    """A single mistake gives exactly one line, which says where it is, what it is, and what to do."""
    assert old in GOOD
    found = lines(GOOD.replace(old, new, 1))
    assert found == [f"t.yaml:{line}"]


def test_all_problems_are_told_at_once() -> None:
    """Mistakes of every kind in one file are listed together, in the order of the file."""
    text = GOOD.replace("window: 128", "window: 0").replace("size: 30", "size: x").replace("linear", "liner")
    text = text.replace("h1 -> h2", "h1 -> h3").replace("seed: 7", "seed: ${NO}").replace("name: t", "nam: t")
    assert lines(text + "  h1 -> out:\n  h1->out:\n  out -> h1:\n") == [
        "t.yaml:2:1: nam: unknown key 'nam', did you mean 'name'?",
        "t.yaml:3:7: seed: the variable NO is not set, set it or write ${NO:-default}",
        "t.yaml:4:43: source.window: must be at least 1, got 0",
        "t.yaml:6:15: groups.h1.size: expected a whole number, got 'x'",
        "t.yaml:8:27: groups.out.neuron: unknown neuron 'liner', did you mean 'linear'?",
        "t.yaml:12:3: links.h1 -> h3: unknown group 'h3', known: h1, h2, out",
        "t.yaml:15:3: links.h1 -> out: duplicate key 'h1 -> out', it stands on line 14 too",
        "t.yaml:16:3: links.out -> h1: closes the cycle h1 -> out -> h1, links must not lead back",
    ]


def test_groups_that_are_left_out_are_named() -> None:
    """Groups that nothing feeds, that the source does not reach, or that reach no loss are told apart."""
    assert lines(GOOD.replace("  h1 -> h2:\n", "")) == [
        "t.yaml:6:3: groups.h1: this group reaches no loss, add a link from it that leads to 'out', or remove it",
        "t.yaml:7:3: groups.h2: nothing feeds this group, add a link such as 'source -> h2'",
        "t.yaml:8:3: groups.out: nothing from the source reaches this group",
    ]


@pytest.mark.parametrize("name", ["source", "loss", "broker", "monitor"])
def test_reserved_names_are_refused(name: str) -> None:
    """No group may take the name of a process of ours."""
    assert f"t.yaml:7:3: groups.{name}: '{name}' is a reserved name, choose another name for this group" in lines(
        GOOD.replace("  h2:", f"  {name}:")
    )


@pytest.mark.parametrize("name", ["1h", "h.1", "a" * 33, "h 1", "hé", "_h"])
def test_bad_names_are_refused(name: str) -> None:
    """A group's name is a letter, then letters, digits, _ or -, 32 characters in all."""
    found = lines(GOOD.replace("  h2:", f"  {name}:"))
    assert any(line.startswith("t.yaml:7:3:") and "is no name" in line for line in found)


def test_a_mistake_in_the_defaults_is_told_once_and_there() -> None:
    """A wrong default is one line at its own place, however many groups inherit it."""
    text = GOOD + "defaults: {group: {optimizer: {lr: -1}}, link: {notfy: 1}}\n"
    assert lines(text) == [
        "t.yaml:14:36: defaults.group.optimizer.lr: must be above 0, got -1",
        "t.yaml:14:49: defaults.link.notfy: unknown key 'notfy', did you mean 'notify'?",
    ]


def test_a_default_that_a_link_completes_is_fine() -> None:
    """A default rule top_k may leave k to each link; a link that gives none is told so."""
    text = GOOD.replace("source -> h1:", "source -> h1: {notify: {k: 1}}").replace(
        "h1 -> h2:", "h1 -> h2: {notify: {k: 2}}"
    )
    text += "defaults: {link: {notify: {rule: top_k}}}\n"
    assert lines(text) == ["t.yaml:14:27: defaults.link.notify: rule 'top_k' needs k"]
    assert loads(text.replace("h2 -> out:", "h2 -> out: {notify: {k: 3}}")).links["h2 -> out"].notify.k == 3


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("groups.h9.size=3", "--set groups.h9.size: unknown group 'h9', known: h1, h2, out"),
        ("links.h1->h9.coding=fast", "--set links.h1 -> h9.coding: unknown link 'h1 -> h9', did you mean 'h1 -> h2'?"),
        ("groups.h1.sizee=3", "--set groups.h1.sizee: unknown key 'sizee', did you mean 'size'?"),
        ("groups.h1.optimiser.lr=3", "--set groups.h1.optimiser.lr: unknown key 'optimiser', did you mean 'optimizer'?"),
        ("groups.h1.optimizer.lr=fast", "--set groups.h1.optimizer.lr: expected a number, got 'fast'"),
        ("groups.h1.optimizer={kind: adma}", "--set groups.h1.optimizer.kind: unknown kind 'adma', did you mean 'adam'?"),
        ("source.retry=250", "--set source.retry: missing unit, did you mean 250ms or 250s?"),
        ("journal=250", "--set journal: missing unit, did you mean 250ms or 250s?"),
        ("journal=false", "--set journal: expected a duration, got false, write 250ms, 2s, 1m or 1h, or off"),
        ("source.data.x=3", "--set source.data.x: source.data holds no keys"),
        ("seed", "--set seed: no assignment, write --set groups.h1.optimizer.lr=0.02"),
        ("=3", "--set: no assignment, write --set groups.h1.optimizer.lr=0.02"),
        ("seed=[", "--set seed: broken YAML: the file ends inside a quote or bracket, close it"),
        ("seed=${NO}", "--set seed: the variable NO is not set, set it or write ${NO:-default}"),
        ("defaults.link.notify.rule=top_k", "--set defaults.link.notify.rule: rule 'top_k' needs k, add --set defaults.link.notify.k=5"),
        ("defaults.link.notify={rule: top_k}", "--set defaults.link.notify.rule: rule 'top_k' needs k, add --set defaults.link.notify.k=5"),
        ("links.h1->h2.notify.rule=top_k", "--set links.h1 -> h2.notify.rule: rule 'top_k' needs k, add --set 'links.h1 -> h2.notify.k=5'"),
        ("defaults.group.update.rule=every", "--set defaults.group.update.rule: rule 'every' needs every, add --set defaults.group.update.every=16"),
        ("defaults.group.optimizer.schedule=step", "--set defaults.group.optimizer.schedule: schedule 'step' needs steps, add --set 'defaults.group.optimizer.steps=[0.5,0.75]'"),
        ("defaults.group.update.rule=", "--set defaults.group.update.rule: expected always or every or threshold or literal, got nothing"),
        ("groups.out.shards=2", "--set groups.out.shards: the readout cannot be sharded: its loss needs every output, remove shards"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_told_as_one(override: str, line: str) -> None:
    """A mistake on the command line names --set and not a line of the file."""
    assert lines(GOOD, override) == [line]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_is_told(text: str) -> None:
    """A file with nothing in it says so, and says how to start."""
    assert lines(text) == ["t.yaml:1:1: the file is empty, 'neurond init' writes one to start from"]


@pytest.mark.parametrize(("text", "got"), [("- a\n", "a list"), ("words", "'words'"), ("3", "3")])
def test_a_file_must_be_a_mapping(text: str, got: str) -> None:
    """A file that is no mapping at all says what it is."""
    assert lines(text) == [f"t.yaml:1:1: expected a mapping, got {got}"]


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing files, folders, bytes that are no text, files too large and names that mean nothing."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("latin.yaml").write_bytes("neurond: 1\nname: caf\xe9".encode("latin-1"))
    Path("large.yaml").write_bytes(b"#" * (1 << 20) + b"\n")

    def line(name: str) -> str:
        with pytest.raises(TopologyError) as caught:
            load(name)
        return str(caught.value)

    networks = "known: deep, digits, mnist, sharded, skip, xor"
    assert line("digit") == "'digit': no such file or network, did you mean 'digits'?"
    assert line("nothing") == f"'nothing': no such file or network, {networks}"
    assert line("") == f"'': no such file or network, {networks}"
    assert line("./digits") == "./digits: no such file, did you mean 'digits'?"
    assert line("a/b.yaml") == "a/b.yaml: no such file"
    assert line("folder") == f"'folder': is a directory, {networks}"
    assert line("./folder") == "./folder: is a directory, not a topology file"
    assert line("latin.yaml") == "latin.yaml:2:10: not UTF-8 text, save the file as UTF-8"
    assert line("large.yaml") == "large.yaml:1:1: the file is larger than 1 MiB"
    assert line("a" * 300 + ".yaml").endswith("cannot be read: file name too long")
    assert "cannot be read" in line("nul\0.yaml")


def _many_groups(n: int) -> str:
    return GOOD.replace("groups:\n", "groups:\n" + "".join(f"  g{i}: {{size: 1}}\n" for i in range(n)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_many_groups(10_001), "groups: more than 10,000 entries"),
        (GOOD.replace("size: 30", "size: 3000, shards: 1000").replace("size: 10,", "size: 1000, shards: 1000,", 1),
         "links: 1,002,000 links between processes, shards included, are more than 10,000"),
        ("a: " + "[" * 100_000, "nested deeper than 12 levels"),
        ("[" + "a," * 400_000, "more than 10,000 entries"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "anchors and aliases"),
        ("x" * (1 << 20) + "y", "larger than 1 MiB"),
        ("é" * (1 << 19) + "y", "larger than 1 MiB"),
    ],
)  # fmt: skip
def test_bombs_are_refused_quickly(text: str, words: str) -> None:
    """Enormous, deep or self-multiplying files are refused within seconds, with one line each."""
    began = time.process_time()
    found = lines(text)
    assert len(found) == 1
    assert words in found[0]
    assert time.process_time() - began < 20


def test_a_chain_of_thousands_is_no_trouble() -> None:
    """Nothing in the checks recurses or is quadratic: 2,000 groups in a chain load."""
    n = 2000
    groups = "".join(f"  g{i}: {{size: 1}}\n" for i in range(n))
    links = "  source -> g0:\n" + "".join(f"  g{i} -> g{i + 1}:\n" for i in range(n - 1))
    text = f"neurond: 1\nsource: {{data: x}}\nloss: {{reads: g{n - 1}}}\ngroups:\n{groups}links:\n{links}"
    assert len(loads(text).pairs) == n


def test_problems_carry_their_parts() -> None:
    """A program can read file, line, column, path, message and hint without parsing the line."""
    with pytest.raises(TopologyError) as caught:
        loads(GOOD.replace("linear", "rellu"), "t.yaml")
    (p,) = caught.value.problems
    assert (p.file, p.line, p.column, p.path) == ("t.yaml", 8, 27, "groups.out.neuron")
    assert (p.message, p.hint) == ("unknown neuron 'rellu'", "did you mean 'relu'?")
