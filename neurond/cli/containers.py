"""A topology as a compose file: the broker, the source and each group process as a service on a private network.

The file is read by docker-compose 1.27 and newer and by the plugin `docker compose`.
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from topology.address import DEFAULT_PORT
from topology.graph import shard_names

if TYPE_CHECKING:
    from topology.spec import Topology

HOME = "/home/neurond"  # working directory of the image
RUNS, DATA = "/runs", "/data"  # run folders and data sets in the containers
INBOX_PORT = 5600  # each container has an address of its own, so the port may be the same
DATA_SETS = "${NEUROND_DATA:-./data}"  # the host's folder of mnist/ and fashion-mnist/
BASE, IMAGE = "${NEUROND_BASE:-python:3.11-slim}", "${NEUROND_IMAGE:-neurond}"  # what is built, and from what
WITHOUT_KEYS = {"NEUROND_INSECURE": DoubleQuotedScalarString("1")}  # nobody else is on the network of a stack

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True)
class Place:
    """A file of the host, and where the containers that need it find it."""

    here: str
    there: str

    @property
    def mount(self) -> dict[str, Any]:
        """It, as a read-only volume. The long form: a path may hold a colon."""
        return {"type": "bind", "source": self.here, "target": self.there, "read_only": True}


@dataclass(frozen=True, slots=True)
class Stack:
    """What a compose file is made from.

    Args:
        topology: the network, checked.
        named: what the broker is to load: a name of the zoo, or a file in the container.
        files: of the host, that broker and source read.
        data_sets: mount the folder of data sets that have a name.
        overrides: `KEY=VALUE`, for the broker.
        image: a ready image; None builds one from the folder of the compose file.

    """

    topology: Topology
    named: str
    files: Sequence[Place] = ()
    data_sets: bool = False
    overrides: Sequence[str] = ()
    image: str | None = None


class _Merge(str):
    """The key that merges another map: plain text of that spelling would be quoted."""


def _merge(representer: Any, key: _Merge) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:merge", str(key))


def compose(stack: Stack, head: Iterable[str]) -> str:
    """The compose file as text, below the lines of `head` as comments."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 1 << 16
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(_Merge, _merge)
    text = io.StringIO()
    text.writelines(f"# {line}".rstrip() + "\n" for line in head)
    yaml.dump(_document(stack), text)
    return text.getvalue()


def processes(topology: Topology) -> list[str]:
    """Names of the group processes, in the order of the file."""
    return [name for group, body in topology.groups.items() for name in shard_names(group, body.shards)]


def _document(stack: Stack) -> CommentedMap:
    every = _every(stack)
    every.yaml_set_anchor("process", always_dump=True)
    services = CommentedMap({"broker": _service(every, _broker(stack)), "source": _service(every, _source(stack))})
    for name in processes(stack.topology):
        services[_text(name)] = _service(every, {"command": _flow("group", name), **_member(name)})
    document = CommentedMap({"x-process": every, "services": services})
    document["networks"] = CommentedMap({"neurond": _one_line({"internal": True})})
    document["volumes"] = CommentedMap({"runs": CommentedMap()})
    for key, words in (
        ("services", "The broker hands out the plan, watches the others, and prints the result."),
        ("networks", "No way in from outside, and none out."),
        ("volumes", "The run folders, one a run: docker-compose run --rm broker eval /runs/..."),
    ):
        document.yaml_set_comment_before_after_key(key, before="\n" + words)
    for name in list(services)[1:]:
        services.yaml_set_comment_before_after_key(name, before="\n")
    return document


def _every(stack: Stack) -> CommentedMap:
    """What all services have in common."""
    image = DoubleQuotedScalarString(IMAGE) if stack.image is None else _text(stack.image)
    made = CommentedMap({"image": image})
    if stack.image is None:
        made["build"] = CommentedMap({"context": ".", "args": CommentedMap({"BASE": DoubleQuotedScalarString(BASE)})})
    made.update(
        {
            "init": True,
            "restart": "on-failure:3",
            "stop_grace_period": "5s",
            "read_only": True,
            "tmpfs": _flow("/tmp"),
            "cap_drop": _flow("ALL"),
            "security_opt": _flow("no-new-privileges:true"),
            "networks": _flow("neurond"),
        }
    )
    return made


def _broker(stack: Stack) -> dict[str, Any]:
    command = ["broker", *(part for override in stack.overrides for part in ("--set", override))]
    listen = f"tcp://0.0.0.0:{DEFAULT_PORT}"
    return {
        "command": _flow(*command),
        "restart": DoubleQuotedScalarString("no"),  # what it exits with is how the run ended
        "environment": {
            "NEUROND_TOPOLOGY": _text(stack.named),
            "NEUROND_BIND": listen,
            **WITHOUT_KEYS,
            **_data_dir(stack),
        },
        "volumes": _volumes(stack, stack.files),
        "healthcheck": _health(interval="2s"),
    }


def _source(stack: Stack) -> dict[str, Any]:
    member = _member("source")
    member["environment"] |= _data_dir(stack)
    data = [place for place in stack.files if place.there != stack.named]
    return {"command": _flow("source"), **member, "volumes": _volumes(stack, data)}


def _member(name: str) -> dict[str, Any]:
    """What the source and the groups have in common: found by name, and alive if the broker says so."""
    return {
        "environment": {
            "NEUROND_BROKER": f"tcp://broker:{DEFAULT_PORT}",
            "NEUROND_BIND": f"tcp://0.0.0.0:{INBOX_PORT}",
            "NEUROND_ADVERTISE": _text(name),
            **WITHOUT_KEYS,
        },
        "volumes": ["runs:" + RUNS],
        "healthcheck": _health(name, interval="10s"),
        "depends_on": {"broker": _one_line({"condition": "service_healthy"})},
    }


def _health(*names: str, interval: str) -> dict[str, Any]:
    test = _flow("CMD", "neurond", "status", *names)
    return {"test": test, "interval": interval, "timeout": "5s", "retries": 3, "start_period": "30s"}


def _data_dir(stack: Stack) -> dict[str, str]:
    return {"NEUROND_DATA": DATA} if stack.data_sets else {}


def _volumes(stack: Stack, files: Iterable[Place]) -> list[Any]:
    mounts = [{key: _text(value) for key, value in place.mount.items()} for place in files]
    if stack.data_sets:
        mounts.append(Place(DATA_SETS, DATA).mount)
    return ["runs:" + RUNS, *mounts]


def _service(every: CommentedMap, body: Mapping[str, Any]) -> CommentedMap:
    blocks = {key: CommentedMap(value) if type(value) is dict else value for key, value in body.items()}
    return CommentedMap({_Merge("<<"): every, **blocks})


def _flow(*items: str) -> CommentedSeq:
    """A list in one line, all of it in quotes."""
    found = CommentedSeq(DoubleQuotedScalarString(item.replace("$", "$$")) for item in items)
    found.fa.set_flow_style()
    return found


def _one_line(body: Mapping[str, Any]) -> CommentedMap:
    found = CommentedMap(body)
    found.fa.set_flow_style()
    return found


def _text(value: Any) -> Any:
    """Text of the user's that compose reads as it stands: it expands variables, and YAML 1.1 has more words."""
    if not isinstance(value, str) or (_PLAIN.fullmatch(value) and value.lower() not in _WORDS):
        return value
    return DoubleQuotedScalarString(value.replace("$", "$$"))


def in_container(path: str) -> str:
    """Where a path that a topology names is looked for in a container."""
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return posixpath.normpath(posixpath.join(HOME, path))
