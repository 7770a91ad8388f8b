"""The verb compose: a topology as a compose file, as compose itself reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from neurond.cli import app
from topology.load import load, zoo
from topology.plan import SOURCE

ROOT = Path(__file__).parents[2]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def neurond(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """The command line in this process, in an empty folder; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            app.main(arguments)
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return call


def read(text: str) -> dict[str, Any]:
    """A compose file as docker-compose reads it: YAML 1.1, where `no` is false, with `$$` for a dollar sign."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    found: dict[str, Any] = yaml.load(text.replace("$$", "$"))
    return found


def test_the_shipped_file_is_what_compose_writes(neurond: Call, tmp_path: Path) -> None:
    """docker-compose.yml at the top level is byte for byte what the verb writes for digits."""
    shipped = (ROOT / "docker-compose.yml").read_bytes()
    assert neurond("compose", "digits")[1].encode() == shipped
    assert neurond("compose", "digits", "--output", "docker-compose.yml")[0] == 0
    assert (tmp_path / "docker-compose.yml").read_bytes() == shipped


@pytest.mark.parametrize("name", zoo())
def test_each_process_is_a_service(neurond: Call, name: str) -> None:
    """Broker, source and each group process of any network are services, found by name, on the private network."""
    groups = [
        process
        for group, body in load(name).groups.items()
        for process in ([group] if body.shards == 1 else [f"{group}.{i}" for i in range(body.shards)])
    ]
    document = read(neurond("compose", name)[1])
    services = document["services"]
    assert list(services) == ["broker", SOURCE, *groups]
    for process, service in services.items():
        assert service["networks"] == ["neurond"]
        assert "ports" not in service
        if process != "broker":
            verb = [SOURCE] if process == SOURCE else ["group", process]
            assert service["command"] == verb
            assert service["environment"]["NEUROND_ADVERTISE"] == process
            assert service["depends_on"]["broker"] == {"condition": "service_healthy"}
    assert document["networks"] == {"neurond": {"internal": True}}


def test_data_that_is_fetched_is_mounted(neurond: Call) -> None:
    """The folder of data sets reaches broker and source, and no group."""
    services = read(neurond("compose", "mnist")[1])["services"]
    mounted = [name for name, service in services.items() if any("/data" in str(v) for v in service["volumes"])]
    assert mounted == ["broker", "source"]
    assert services["source"]["environment"]["NEUROND_DATA"] == "/data"


def test_files_and_settings_of_the_user(neurond: Call, tmp_path: Path) -> None:
    """A topology, its csv and its overrides reach the containers, whatever their names are made of."""
    (tmp_path / "my data").mkdir()
    (tmp_path / "my data" / "a $x.csv").write_text("a,b,kind\n" + "0.5,1.5,u\n1.5,0.5,v\n" * 10)
    text = """\
neurond: 1
source: {data: 'csv:my data/a $$x.csv', label: kind}
groups: {on: {size: 4}, No: {size: 2, neuron: linear}}
loss: {reads: No}
links: {source -> on: , on -> No: }
"""
    (tmp_path / "net:1.yaml").write_text(text)
    code, _, said = neurond("compose", "net:1.yaml", "-o", "my data/compose.yml", "--set", "source.label=$kind")
    assert code == 3  # the data is looked at: there is no such column
    assert "$kind" in said
    assert not (tmp_path / "my data" / "compose.yml").exists()
    arguments = ("compose", "net:1.yaml", "-o", "my data/compose.yml", "--set", "name=a", "--image", "mine:2")
    assert neurond(*arguments)[0] == 0
    services = read((tmp_path / "my data" / "compose.yml").read_text())["services"]
    assert list(services) == ["broker", "source", "on", "No"]
    topology, data = (v for v in services["broker"]["volumes"] if isinstance(v, dict))
    assert topology == {
        "type": "bind",
        "source": "./../net:1.yaml",
        "target": "/home/neurond/net:1.yaml",
        "read_only": True,
    }
    assert data["source"] == "./a $x.csv"
    assert data["target"] == "/home/neurond/my data/a $x.csv"
    assert services["source"]["volumes"] == ["runs:/runs", data]
    assert services["on"]["volumes"] == ["runs:/runs"]
    assert services["broker"]["command"] == ["broker", "--set", "name=a"]
    assert services["broker"]["environment"]["NEUROND_TOPOLOGY"] == "/home/neurond/net:1.yaml"
    assert services["No"]["image"] == "mine:2"
    assert "build" not in services["No"]


def test_no_variable_is_left_to_expand_but_ours(neurond: Call) -> None:
    """A dollar sign of the user's is doubled, so that compose does not take it for a variable."""
    (text,) = (neurond("compose", "digits", "--set", "name=x", "--set", "seed=7", "--image", "a$b")[1],)
    assert "a$$b" in text
    assert not re.findall(r"(?<!\$)\$(?!\$|\{NEUROND_)", text)


def test_groups_that_would_be_one_host(neurond: Call) -> None:
    """Names that differ only in capitals are refused in one line: hosts are found by name."""
    expanded = neurond("expand", "digits")[1].replace("h2", "H1")
    Path("capitals.yaml").write_text(expanded)
    code, out, said = neurond("compose", "capitals.yaml")
    assert (code, out) == (2, "")
    assert said == "neurond: groups 'h1' and 'H1' would be one host: rename one of them\n"


def test_a_file_of_somebody_else_is_not_overwritten(neurond: Call, tmp_path: Path) -> None:
    """The verb writes over its own files and no other."""
    theirs = tmp_path / "docker-compose.yml"
    theirs.write_text("services: {}\n")
    code, _, said = neurond("compose", "xor", "--output", "docker-compose.yml")
    assert code == 2
    assert "not written by neurond compose" in said
    assert theirs.read_text() == "services: {}\n"
    theirs.unlink()
    assert [neurond("compose", name, "-o", "docker-compose.yml")[0] for name in ("xor", "digits")] == [0, 0]
