"""The dashboard for Grafana as the tests read it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).parents[1] / "monitor" / "deploy"


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "neurond.json").read_text("utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    """Its panels, but not the headings of its rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every expression of every panel, as Grafana sends it where any run will do, by the panel's title and its id."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$run", ".+").replace("$__rate_interval", "5s")
        for panel in panels()
        for target in panel["targets"]
    }


def queried() -> set[str]:
    """Every metric that the dashboard asks for."""
    asked = [*expressions().values(), *(variable["definition"] for variable in dashboard()["templating"]["list"])]
    return {name for query in asked for name in re.findall(r"neurond_\w+", query)}
