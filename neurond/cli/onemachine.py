"""A topology as a compose file: all its containers on one machine, with those that watch them.

Read by docker-compose 1.28 and newer and by the plugin `docker compose`.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap

from neurond.cli.composefile import apart, block, explained, merging, one_line, quoted, text, words
from neurond.cli.containers import KEYS, KEYS_TO_READ, RUNS, WITH_KEYS, Service, Stack, deployment, hardened, services
from neurond.cli.watchers import NETWORKS, VOLUMES, watchers
from topology.plan import BROKER


def compose_file(stack: Stack) -> CommentedMap:
    """The network as a compose file."""
    every = hardened(stack)
    every.yaml_set_anchor("process", always_dump=True)
    made = CommentedMap((text(service.name), _composed(stack, every, service)) for service in services(stack))
    made.update((name, merging(every, body) if ours else body) for name, body, ours in watchers(stack.deploy))
    document = CommentedMap({"x-process": every, "services": apart(made)})
    document["networks"] = block({"neurond": one_line({"internal": True}), **NETWORKS})
    document["volumes"] = block({"runs": {}, "keys": {}, **VOLUMES})
    comments = {
        "services": "The broker hands out the plan, watches the others, and prints the result.",
        "networks": "No way into the network's own from outside, and none out; `watch` is for the profile metrics.",
        "volumes": "Run folders (docker-compose run --rm broker eval /runs/...), and a pair of keys a process.",
    }
    return explained(document, comments)


def _composed(stack: Stack, every: CommentedMap, service: Service) -> CommentedMap:
    broker = service.name == BROKER
    body: dict[str, Any] = {"command": words(*service.command)}
    if broker:
        body["restart"] = quoted("no")  # what it exits with is how the run ended
    # The broker makes the keys that are missing before it answers, and the others start when it does.
    makes = {"NEUROND_MAKE_KEYS": quoted("1")} if broker else {}
    body["environment"] = {**service.environment, **WITH_KEYS, **makes}
    mounts = [stack.file.mount] if broker and stack.file else []
    keys = f"keys:{KEYS}" if broker else KEYS_TO_READ
    body["volumes"] = ["runs:" + RUNS, keys, *(block(mount) for mount in (*mounts, *service.mounts))]
    # The broker's answer lets the others start, so it is asked for often.
    body["healthcheck"] = _health(interval="2s") if broker else _health(service.name, interval="10s")
    if not broker:
        body["depends_on"] = {BROKER: one_line({"condition": "service_healthy"})}
    deploy = deployment(service)  # compose heeds the limits of it
    return merging(every, {**body, "deploy": deploy} if deploy else body)


def _health(*names: str, interval: str) -> dict[str, Any]:
    test = words("CMD", "neurond", "status", *names)
    # The probe itself gives up on a broker that does not answer; a machine that is slow to start it is no illness.
    return {"test": test, "interval": interval, "timeout": "20s", "retries": 3, "start_period": "30s"}
