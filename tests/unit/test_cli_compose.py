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
WATCHERS = ["monitor", "metrics", "prometheus", "grafana"]
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
    assert list(services) == ["broker", SOURCE, *groups, *WATCHERS]
    for process, service in [(name, services[name]) for name in ("broker", SOURCE, *groups)]:
        assert service["networks"] == ["neurond"]
        assert service["restart"] == ("no" if process == "broker" else "on-failure")
        assert "profiles" not in service
        assert "ports" not in service
        if process != "broker":
            verb = [SOURCE] if process == SOURCE else ["group", process]
            assert service["command"] == verb
            assert service["environment"]["NEUROND_ADVERTISE"] == process
            assert service["depends_on"]["broker"] == {"condition": "service_healthy"}
    assert document["networks"] == {"neurond": {"internal": True}, "watch": {}}


def test_who_watches(neurond: Call) -> None:
    """The console, the exporter, Prometheus and Grafana start with their profile only, and see what they must.

    Grafana lets anybody look and nobody change, on this machine alone.
    """
    document = read(neurond("compose", "digits")[1])
    services = {name: document["services"][name] for name in WATCHERS}
    assert {name: one["profiles"] for name, one in services.items()} == {
        "monitor": ["monitor"],
        **{name: ["metrics"] for name in WATCHERS[1:]},
    }
    assert {name: one["networks"] for name, one in services.items()} == {
        "monitor": ["neurond"],
        "metrics": ["neurond", "watch"],
        "prometheus": ["watch"],
        "grafana": ["watch"],
    }
    monitor = services["monitor"]
    assert monitor["command"] == ["monitor"]
    assert not {"tty", "stdin_open"} & monitor.keys()  # lines for logs; `run` brings a terminal
    assert services["metrics"]["environment"]["NEUROND_LISTEN"] == "0.0.0.0:9464"
    published = {port for one in services.values() for port in one.get("ports", [])}
    assert published == {"127.0.0.1:9090:9090", "127.0.0.1:3000:3000"}
    images = [services[name]["image"] for name in ("prometheus", "grafana")]
    assert all(re.fullmatch(r"\$\{\w+:-[a-z/]+:v?\d+\.\d+\.\d+\}", image) for image in images)
    visitor = services["grafana"]["environment"]
    assert visitor["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert visitor["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert not [name for name in visitor if "PASSWORD" in name]
    mounts = [v for one in services.values() for v in one.get("volumes", []) if isinstance(v, dict)]
    assert len(mounts) == 2
    for mount in mounts:
        assert mount["read_only"]
        assert (ROOT / mount["source"]).exists()


def test_where_the_configuration_lies_without_a_clone(neurond: Call) -> None:
    """With a ready image there need be no clone: the configuration is that of the installed package."""
    services = read(neurond("compose", "digits", "--image", "neurond:1")[1])["services"]
    mount = services["prometheus"]["volumes"][0]
    assert Path(mount["source"]).is_absolute()
    assert Path(mount["source"]).is_file()


def test_limits(neurond: Call) -> None:
    """What the topology allows a group or one shard of it is what its container gets."""
    limits = ["--set", "limits.source.memory=128m", "--set", "limits.h1={cpus: 0.5, memory: 1g}"]
    services = read(neurond("compose", "sharded", *limits)[1])["services"]
    whole = {"resources": {"limits": {"cpus": "0.5", "memory": "1g"}}}
    assert services["h1.0"]["deploy"] == services["h1.1"]["deploy"] == whole
    assert services["source"]["deploy"] == {"resources": {"limits": {"memory": "128m"}}}
    assert "deploy" not in services["out"]


def test_a_place_is_for_a_swarm(neurond: Call) -> None:
    """A place stands in the file, but compose knows one machine only, and that is a warning."""
    code, text, said = neurond("compose", "digits", "--set", "place.h1=box2")
    assert code == 0
    assert read(text)["services"]["h1"]["deploy"] == {"placement": {"constraints": ["node.hostname == box2"]}}
    assert said == (
        "warning: digits.yaml:2:1: place: docker-compose starts every process on one machine, --swarm places them\n"
    )


@pytest.mark.parametrize("name", zoo())
def test_a_stack_for_a_swarm(neurond: Call, name: str) -> None:
    """Each process is a service of one replica, found by name on an encrypted network, with nothing of compose's."""
    code, text, said = neurond("compose", name, "--swarm", "--image", "neurond:1")
    assert (code, said) == (0, "")
    document = read(text)
    mine = read(neurond("compose", name)[1])["services"]
    services = document["services"]
    assert list(services) == [process for process in mine if process not in WATCHERS]
    for process, service in services.items():
        alien = {"build", "depends_on", "healthcheck", "restart", "security_opt", "profiles", "ports"}
        assert not alien & set(service)
        assert (service["image"], service["command"]) == ("neurond:1", mine[process]["command"])
        keyed = {key: value for key, value in mine[process]["environment"].items() if "KEYS" not in key}
        assert service["environment"] == {**keyed, "NEUROND_INSECURE": "1"}  # they share no folder for keys
        deploy = service["deploy"]
        again = "none" if process == "broker" else "on-failure"
        assert (deploy["replicas"], deploy["restart_policy"]["condition"]) == (1, again)
        assert deploy["endpoint_mode"] == "dnsrr"
        assert "placement" not in deploy
    assert document["networks"]["neurond"]["driver_opts"] == {"encrypted": "true"}
    assert document["networks"]["neurond"]["internal"] is True
    assert "share the volume" in text
    assert ("it must be there on the machines" in text) is (name not in ("digits", "xor", "skip", "sharded", "deep"))


def test_places_in_a_swarm(neurond: Call, tmp_path: Path) -> None:
    """A place is a constraint, a shard's own before its group's; the topology goes along, named for its content."""
    text = neurond("expand", "sharded")[1]
    (tmp_path / "net.yaml").write_text(
        text + "place: {h1: box1, h1.1: box2, broker: box3}\nlimits: {h2: {cpus: 2}}\n"
    )
    document = read(neurond("compose", "net.yaml", "--swarm")[1])
    found = {name: one["deploy"].get("placement") for name, one in document["services"].items()}
    places = {"broker": "box3", "h1.0": "box1", "h1.1": "box2"}
    assert {name: place["constraints"] for name, place in found.items() if place} == {
        name: [f"node.hostname == {host}"] for name, host in places.items()
    }
    assert document["services"]["h2"]["deploy"]["resources"] == {"limits": {"cpus": "2"}}
    (config,) = document["services"]["broker"]["configs"]
    assert config == {"source": "topology", "target": "/home/neurond/net.yaml"}
    first = document["configs"]["topology"]
    assert first["file"] == "./net.yaml"
    (tmp_path / "net.yaml").write_text(text)
    assert read(neurond("compose", "net.yaml", "--swarm")[1])["configs"]["topology"]["name"] != first["name"]


@pytest.mark.parametrize("name", ["metrics", "Grafana"])
def test_a_group_with_the_name_of_a_watcher(neurond: Call, name: str) -> None:
    """A group that would be the service of a watcher is refused in one line."""
    Path("a.yaml").write_text(neurond("expand", "digits")[1].replace("h2", name))
    code, out, said = neurond("compose", "a.yaml")
    assert (code, out) == (2, "")
    assert said == f"neurond: group {name!r} has the name of a container that watches: rename it\n"


def test_data_that_is_fetched_is_mounted(neurond: Call) -> None:
    """The folder of data sets reaches broker and source, and no group."""
    services = read(neurond("compose", "mnist")[1])["services"]
    mounted = [
        name for name, service in services.items() if any("/data" in str(v) for v in service.get("volumes", []))
    ]
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
    assert list(services) == ["broker", "source", "on", "No", *WATCHERS]
    topology, data = (v for v in services["broker"]["volumes"] if isinstance(v, dict))
    assert topology == {
        "type": "bind",
        "source": "./../net:1.yaml",
        "target": "/home/neurond/net:1.yaml",
        "read_only": True,
    }
    assert data["source"] == "./a $x.csv"
    assert data["target"] == "/home/neurond/my data/a $x.csv"
    assert services["source"]["volumes"] == ["runs:/runs", "keys:/keys:ro", data]
    assert services["on"]["volumes"] == ["runs:/runs", "keys:/keys:ro"]
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
