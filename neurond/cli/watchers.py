"""Services that watch a network of containers, each started only when its profile is asked for.

The display and the exporter are of our own image; Prometheus and Grafana are their makers'. Those two see nothing of
the network but the exporter, and are reached from this machine alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruamel.yaml.comments import CommentedMap

from neurond.cli.composefile import block, quoted, text, words
from neurond.cli.containers import BROKER_ADDRESS, KEYS_TO_READ, WITH_KEYS

PROMETHEUS = "${NEUROND_PROMETHEUS:-prom/prometheus:v3.5.0}"
GRAFANA = "${NEUROND_GRAFANA:-grafana/grafana:12.0.2}"
METRICS_PORT, PROMETHEUS_PORT, GRAFANA_PORT = 9464, 9090, 3000

NAMES = ("monitor", "metrics", "prometheus", "grafana")
NETWORKS: dict[str, Any] = {"watch": {}}
VOLUMES: dict[str, Any] = {"prometheus": {}}

_VISITOR = {  # anybody on this machine may look, nobody may change, and there is no account to guess a password of
    "GF_AUTH_ANONYMOUS_ENABLED": "true",
    "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
    "GF_AUTH_DISABLE_LOGIN_FORM": "true",
    "GF_AUTH_BASIC_ENABLED": "false",
    "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": "/etc/grafana/provisioning/dashboards/neurond.json",
}


def watchers(deploy: str) -> Iterator[tuple[str, CommentedMap, bool]]:
    """Name and body of each, and whether it is one of ours, with all that ours have in common.

    Args:
        deploy: folder of the configuration of Prometheus and Grafana, as the compose file names it.

    """
    yield "monitor", _monitor(), True
    yield "metrics", _exporter(), True
    yield "prometheus", _prometheus(deploy), False
    yield "grafana", _grafana(deploy), False


def _monitor() -> CommentedMap:
    # No terminal of its own: it would be everybody's who starts it with the rest. `run` brings that of who asks.
    body = {
        "command": words("monitor"),
        "profiles": words("monitor"),
        "restart": quoted("no"),
        "environment": {"NEUROND_BROKER": BROKER_ADDRESS, **WITH_KEYS},
        "volumes": [KEYS_TO_READ],
    }
    return block(body)


def _exporter() -> CommentedMap:
    body = {
        "command": words("metrics"),
        "profiles": words("metrics"),
        "environment": {
            "NEUROND_BROKER": BROKER_ADDRESS,
            "NEUROND_LISTEN": quoted(f"0.0.0.0:{METRICS_PORT}"),
            **WITH_KEYS,
        },
        "volumes": [KEYS_TO_READ],
        "networks": words("neurond", "watch"),
    }
    return block(body)


def _prometheus(deploy: str) -> CommentedMap:
    configuration = "/etc/prometheus/prometheus.yml"
    body = {
        "image": quoted(PROMETHEUS),
        "profiles": words("metrics"),
        "command": words(f"--config.file={configuration}", "--storage.tsdb.path=/prometheus"),
        "read_only": True,
        **_guest(PROMETHEUS_PORT),
        "volumes": [_mount(f"{deploy}/prometheus.yml", configuration), "prometheus:/prometheus"],
    }
    return block(body)


def _grafana(deploy: str) -> CommentedMap:
    body = {
        "image": quoted(GRAFANA),
        "profiles": words("metrics"),
        "environment": {key: quoted(value) for key, value in _VISITOR.items()},
        **_guest(GRAFANA_PORT),
        "volumes": [_mount(f"{deploy}/grafana", "/etc/grafana/provisioning")],
    }
    return block(body)


def _guest(port: int) -> dict[str, Any]:
    """What a service of somebody else's may do: be reached from this machine, and little else."""
    return {
        "restart": "on-failure",
        "cap_drop": words("ALL"),
        "security_opt": words("no-new-privileges:true"),
        "networks": words("watch"),
        "ports": words(f"127.0.0.1:{port}:{port}"),
    }


def _mount(here: str, there: str) -> CommentedMap:
    return block({"type": "bind", "source": text(here), "target": there, "read_only": True})
