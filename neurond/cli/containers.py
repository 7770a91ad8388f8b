"""A topology as containers: the broker, the source and each group process as a service, whatever runs them.

`onemachine.py` writes these for docker-compose, `swarm.py` for a swarm.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml.comments import CommentedMap

from neurond.cli.composefile import block, one_line, quoted, text, words
from topology.address import DEFAULT_PORT
from topology.graph import process_names
from topology.plan import BROKER, SOURCE

if TYPE_CHECKING:
    from topology.spec import Topology

HOME = "/home/neurond"  # working directory of the image
RUNS, DATA = "/runs", "/data"  # run folders and data sets in the containers
KEYS = "/keys"
WITH_KEYS = {"NEUROND_KEYS": KEYS}
KEYS_TO_READ = f"keys:{KEYS}:ro"
BROKER_ADDRESS = f"tcp://{BROKER}:{DEFAULT_PORT}"
INBOX_PORT = 5600  # each container has an address of its own, so the port may be the same
DATA_SETS = "${NEUROND_DATA:-./data}"  # the host's folder of mnist/ and fashion-mnist/
BASE, IMAGE = "${NEUROND_BASE:-python:3.11-slim}", "${NEUROND_IMAGE:-neurond}"  # what is built, and from what


@dataclass(frozen=True, slots=True)
class Place:
    """A file of the host, and where the containers that need it find it."""

    here: str
    there: str

    @property
    def mount(self) -> dict[str, Any]:
        """It, as a read-only volume. The long form: a path may hold a colon."""
        return {"type": "bind", "source": text(self.here), "target": text(self.there), "read_only": True}


@dataclass(frozen=True, slots=True)
class Stack:
    """What the containers of a network are made from.

    Args:
        topology: the network, checked.
        named: what the broker is to load: a name of the zoo, or a file in the container.
        file: of the topology, on the host, if it is none of the zoo.
        data: a file of the host that broker and source read.
        data_sets: mount the folder of data sets that have a name.
        overrides: `KEY=VALUE`, for the broker.
        image: a ready image; None builds one from the folder of the compose file.
        deploy: folder of the configuration of Prometheus and Grafana, as the compose file names it.

    """

    topology: Topology
    named: str
    file: Place | None = None
    data: Place | None = None
    data_sets: bool = False
    overrides: Sequence[str] = ()
    image: str | None = None
    deploy: str = "./monitor/deploy"


@dataclass(frozen=True, slots=True)
class Service:
    """One process as a container."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, Any]
    mounts: Sequence[Mapping[str, Any]] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)  # cpus, memory
    host: str = ""  # where it is to run; empty for anywhere


def services(stack: Stack) -> Iterator[Service]:
    """Every process of a network, the broker first."""
    data = [stack.data.mount] if stack.data else []
    data += [{**Place("", DATA).mount, "source": DATA_SETS}] if stack.data_sets else []
    data_dir = {"NEUROND_DATA": DATA} if stack.data_sets else {}
    broker = {
        "NEUROND_TOPOLOGY": text(stack.named),
        "NEUROND_BIND": f"tcp://0.0.0.0:{DEFAULT_PORT}",
        "NEUROND_AGAIN": quoted("1"),  # one that is started again finds its run
    }
    overrides = (part for override in stack.overrides for part in ("--set", override))
    yield _service(stack, BROKER, ("broker", *overrides), broker | data_dir, data)
    yield _service(stack, SOURCE, ("source",), _member(SOURCE) | data_dir, data)
    for name in process_names(stack.topology):
        yield _service(stack, name, ("group", name), _member(name), [])


def _member(name: str) -> dict[str, Any]:
    """What the source and the groups have in common: they find the broker and are found by name."""
    return {
        "NEUROND_BROKER": BROKER_ADDRESS,
        "NEUROND_BIND": f"tcp://0.0.0.0:{INBOX_PORT}",
        "NEUROND_ADVERTISE": text(name),
    }


def _service(
    stack: Stack, name: str, command: tuple[str, ...], environment: dict[str, Any], mounts: list[dict[str, Any]]
) -> Service:
    """A process with what all of them have: what the topology allows it."""
    whole = name.partition(".")[0]
    limits = stack.topology.limits.get(name) or stack.topology.limits.get(whole)
    host = stack.topology.place.get(name) or stack.topology.place.get(whole, "")
    return Service(name, command, environment, mounts, limits.written() if limits else {}, host)


def hardened(stack: Stack) -> CommentedMap:
    """What all our services have in common on one machine."""
    made = CommentedMap({"image": quoted(IMAGE) if stack.image is None else text(stack.image)})
    if stack.image is None:
        made["build"] = block({"context": ".", "args": {"BASE": quoted(BASE)}})
    made.update(
        {
            "init": True,
            "restart": "on-failure",
            "stop_grace_period": "5s",
            "read_only": True,
            "tmpfs": words("/tmp"),
            "cap_drop": words("ALL"),
            "security_opt": words("no-new-privileges:true"),
            "networks": words("neurond"),
        }
    )
    return made


def deployment(service: Service) -> dict[str, Any]:
    """Where a service is to run and what it may take, as its `deploy` section says it; empty for no matter."""
    made: dict[str, Any] = {}
    if service.host:
        made["placement"] = {"constraints": words(f"node.hostname == {service.host}")}
    if service.limits:
        limits = {key: quoted(f"{value:g}") if key == "cpus" else value for key, value in service.limits.items()}
        made["resources"] = {"limits": one_line(limits)}
    return made


def in_container(path: str) -> str:
    """Where a path that a topology names is looked for in a container."""
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return posixpath.normpath(posixpath.join(HOME, path))
