"""A topology as a stack of a swarm: the same services on several machines, on an encrypted network of their own.

Read by `docker stack deploy` and by compose. A swarm knows no profiles, no start in order and no build, and stops
what it finds unhealthy: there are no health checks here, for those ask the broker, and the network outlives that.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap

from neurond.cli.composefile import apart, block, explained, merging, one_line, quoted, text, words
from neurond.cli.containers import RUNS, Service, Stack, deployment, hardened, services
from topology.plan import BROKER

# The machines share no folder for keys; the network between them is encrypted.
WITHOUT_KEYS = {"NEUROND_INSECURE": quoted("1")}
VERSION = "3.8"  # of the format: `docker stack deploy` before 25 takes a file without one for the oldest
CONFIG = "topology"
NOT_IN_A_SWARM = ("build", "restart", "security_opt")  # it restarts by a policy, and passes over the others
COMMENTS = {
    "services": "The broker hands out the plan, watches the others, and prints the result: docker service logs.",
    "networks": """\
No way in from outside, and none out; encrypted between the machines. A container may join it:
docker run --rm -it --network STACK_neurond IMAGE monitor --insecure --broker tcp://broker:5570""",
    "volumes": """\
The run folders, where each process keeps its journal and its part of each checkpoint. As it stands every machine has
its own: a process that is started again on another machine starts from the beginning (so give it a place), and eval,
predict and --resume do not find all parts. So share the volume between the machines where you can:
runs: {driver_opts: {type: nfs, o: 'addr=SERVER,rw', device: ':/FOLDER'}}""",
    "configs": "The topology, handed to the broker wherever that runs.",
}


def swarm_file(stack: Stack, digest: str) -> CommentedMap:
    """The network as a stack file.

    Args:
        stack: the network.
        digest: of the topology's file. What a swarm has under one name never changes.

    """
    every = _every(stack)
    every.yaml_set_anchor("process", always_dump=True)
    made = CommentedMap((text(service.name), _deployed(stack, every, service)) for service in services(stack))
    document = CommentedMap({"version": quoted(VERSION), "x-process": every, "services": apart(made)})
    overlay = {"driver": "overlay", "internal": True, "attachable": True}
    document["networks"] = block({"neurond": {**overlay, "driver_opts": one_line({"encrypted": quoted("true")})}})
    document["volumes"] = block({"runs": {}})
    if stack.file is not None:
        document["configs"] = block({CONFIG: {"name": f"neurond-{digest}", "file": text(stack.file.here)}})
    return explained(document, COMMENTS)


def _every(stack: Stack) -> CommentedMap:
    """What all services have in common, less what a swarm has not."""
    return CommentedMap((key, value) for key, value in hardened(stack).items() if key not in NOT_IN_A_SWARM)


def _deployed(stack: Stack, every: CommentedMap, service: Service) -> CommentedMap:
    broker = service.name == BROKER
    body: dict[str, Any] = {
        "command": words(*service.command),
        "environment": {**service.environment, **WITHOUT_KEYS},
    }
    body["volumes"] = ["runs:" + RUNS, *(block(mount) for mount in service.mounts)]
    if broker and stack.file is not None:
        body["configs"] = [one_line({"source": CONFIG, "target": text(stack.file.there)})]
    # What the broker exits with is how the run ended; any other process that fails is started again.
    again = {"condition": "none"} if broker else {"condition": "on-failure", "delay": "1s"}
    # Names lead to the containers themselves: a virtual address would forget a link that is idle for a while.
    deploy: dict[str, Any] = {"replicas": 1, "endpoint_mode": "dnsrr", "restart_policy": one_line(again)}
    return merging(every, {**body, "deploy": {**deploy, **deployment(service)}})
