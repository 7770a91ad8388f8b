"""The verbs of topologies: expand, graph, zoo, schema, check, init."""

import json
import os
from pathlib import Path

import pytest

from tests.command import python
from topology.load import load, loads, zoo
from topology.write import dump


def test_expand_reads_back_equal(neurond) -> None:
    """What `expand` prints is a topology equal to what it was made from, overrides included."""
    said = neurond("expand", "digits", "--set", "source.epochs=3")
    assert said.code == 0
    assert said.err == ""
    assert dump(loads(said.out)) == dump(load("digits", ["source.epochs=3"]))
    assert loads(said.out).source.epochs == 3


def test_graph_draws_every_group(neurond) -> None:
    """Both pictures name every group, and only Mermaid begins as Mermaid does."""
    text, mermaid = neurond("graph", "digits").out, neurond("graph", "digits", "--mermaid").out
    assert mermaid.startswith("flowchart")
    assert not text.startswith("flowchart")
    for group in load("digits").groups:
        assert group in text
        assert group in mermaid


def test_zoo_lists_every_network(neurond) -> None:
    """Every network of the zoo is a line of at most 80 columns that says what it is, and the same as JSON."""
    said = neurond("zoo")
    assert [line.split()[0] for line in said.out.splitlines()] == list(zoo())
    assert all(len(line) <= 80 and line.endswith(".") for line in said.out.splitlines())
    assert "deep     12 groups  Twelve groups in a chain" in said.out
    found = {entry["name"]: entry for entry in json.loads(neurond("zoo", "--json").out)}
    assert found["xor"]["groups"] == {"hidden": 16, "out": 2}
    assert found["xor"]["data"] == "xor"
    assert found["xor"]["description"] == "The smallest problem that needs a hidden group."


def test_schema_is_json(neurond) -> None:
    """`schema` prints a JSON Schema."""
    assert json.loads(neurond("schema").out)["$schema"].startswith("https://json-schema.org/")


def test_check_says_fine_or_every_problem(neurond) -> None:
    """A good topology is fine and leads to the next command; a bad one gives its places and 3."""
    assert neurond("check", "digits").code == 0
    Path("a.yaml").write_text("neurond: 1\nname: a\nsource: {dta: digits}\n")
    Path("b.yaml").write_text("neurond: 2\n")
    said = neurond("check", "a.yaml", "b.yaml", "digits")
    assert said.code == 3
    assert "a.yaml:3:" in said.err
    assert "b.yaml:1:" in said.err
    assert "digits: fine" in said.err
    assert "next:" not in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        (["--set", "groups.out.neuron=relu"], "warning: --set groups.out.neuron: cross-entropy takes outputs for"),
        (["--set", "groups.out.neuron=sigmoid"], "those of 'sigmoid' stay between 0 and 1, did you mean 'linear'?"),
        (["--set", "groups.out.neuron=leaky_relu"], ""),
        (["--set", "groups.out.neuron=relu", "--set", "loss.kind=mse"], ""),
        (
            ["--set", "links.h1 -> h2.notify.cool=0.5", "--set", "defaults.group.optimizer.schedule=constant"],
            "the threshold follows the learning rate of 'h2', which is constant",
        ),
        (["--set", "loss.notify.cool=0.5"], ""),
        (
            ["--set", "groups.h2.join=latest"],
            "--set groups.h2.join: 'h2' has one link in, so nothing is joined, remove",
        ),
        (["--set", "defaults.group.join=sum"], "--set defaults.group.join: 'h1' has one link in"),
        (["--set", "defaults.group.join=sum", "--set", "groups.h1.shards=2"], ""),
        (
            ["--set", "groups.h2.update.rule=literal", "--set", "groups.h2.delay_compensation=1"],
            "delay_compensation means nothing with update rule 'literal', remove it",
        ),
        (
            ["--set", "groups.h2.update.rule=literal", "--set", "defaults.link.feedback=random"],
            "--set defaults.link.feedback: feedback 'random' means nothing with update rule 'literal', remove it",
        ),
        (["--set", "groups.h2.update.rule=literal", "--set", "groups.h1.delay_compensation=1"], ""),
        (["--set", "place.h1=box2"], "neurond run starts every process on this machine"),
        (["--set", "limits.h1.cpus=2"], "neurond run sets its processes no limits, `neurond compose` does"),
        ([], ""),
    ],
)
def test_check_warns_of_what_is_not_likely_meant(neurond, arguments: list[str], warned: str) -> None:
    """What can run but makes little sense is fine, with a warning that says where and what was meant."""
    said = neurond("check", "digits", *arguments)
    assert said.code == 0
    assert ("warning" in said.err) is bool(warned)
    assert warned in said.err
    assert "digits: fine" in said.err


def test_check_warns_at_the_group_that_took_the_default(neurond) -> None:
    """A readout without a word of its neuron is a relu; the warning names the group's line."""
    Path("a.yaml").write_text(
        "neurond: 1\nsource: {data: xor}\ngroups:\n  h: {size: 4}\n  out: {size: 2}\n"
        "loss: {reads: out}\nlinks: {source -> h: , h -> out: }\n"
    )
    assert neurond("check", "a.yaml").err.startswith("warning: a.yaml:5:3: groups.out.neuron: cross-entropy takes")


def test_check_wants_its_data(neurond) -> None:
    """A topology whose data is not here is not ready to run: one line says how to get it."""
    said = neurond("check", "mnist", "--data-dir", ".")
    assert said.code == 3
    assert "neurond data fetch mnist" in said.err
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ([], "a.yaml:5:16: source.data: nowhere.csv: no such file"),
        (["--set", "source.data=npz:gone.npz"], "--set source.data: gone.npz: no such file"),
        (["--set", "source.data=digit"], "--set source.data: no data set 'digit'"),
    ],
)
def test_check_says_where_its_data_is_asked_for(neurond, arguments: list[str], place: str) -> None:
    """Data that cannot be used is told with the place of `source.data`, and the other files are checked as well."""
    text = neurond("expand", "digits").out
    Path("a.yaml").write_text(text.replace("source: {data: digits", "source: {data: 'csv:nowhere.csv'"))
    said = neurond("check", "a.yaml", *arguments)
    assert said.code == 3
    assert said.err.startswith(place)
    assert len(said.err.splitlines()) == 1
    assert "xor: fine" in neurond("check", "a.yaml", "xor").err


def test_init_writes_a_topology_that_checks(neurond) -> None:
    """What `init` writes is fine as it is; it never overwrites unless told to."""
    assert neurond("init").code == 0
    assert neurond("check", "topology.yaml").code == 0
    Path("topology.yaml").write_text("mine")
    said = neurond("init", "topology.yaml")
    assert said.code == 2
    assert "--force" in said.err
    assert Path("topology.yaml").read_text() == "mine"
    assert neurond("init", "topology.yaml", "--force").code == 0
    assert Path("topology.yaml").read_text() != "mine"


@pytest.mark.parametrize("file", ["7 odd näme!.yaml", "_.yaml", "x" * 90 + ".yaml"])
def test_init_names_the_network_whatever_the_file_is_called(neurond, file: str) -> None:
    """The file's name becomes a network name that is allowed."""
    assert neurond("init", file).code == 0
    assert neurond("check", file).code == 0


def test_init_where_it_cannot_write(neurond) -> None:
    """A folder that is not there is one line and 1."""
    said = neurond("init", "no/such/folder/t.yaml")
    assert said.code == 1
    assert said.err == "neurond: no/such/folder/t.yaml: No such file or directory\n"


@pytest.mark.timeout(60)
def test_a_topology_that_is_no_regular_file(neurond, tmp_path: Path) -> None:
    """Likewise; a link to a regular file is one."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("pipe.yaml")
    (tmp_path / "fine.yaml").symlink_to("real.yaml")
    (tmp_path / "real.yaml").write_text(dump(load("digits")))
    what = "is a pipe or a device, not a regular file"
    for name in ("pipe.yaml", "link.yaml", "/dev/zero"):
        said = neurond("check", name)
        assert (said.code, said.out) == (3, "")
        assert said.err.splitlines() == [f"{name}: {what}, save what it gives as a file"]
    assert neurond("check", "fine.yaml").code == 0


def test_ascii_terminal() -> None:
    """A terminal that knows only ASCII gets a drawing, not an error."""
    done = python("-m", "neurond", "graph", "digits", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "h1" in done.stdout
