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


def queried() -> set[str]:
    """Every metric that the dashboard asks for."""
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    asked += [variable["definition"] for variable in dashboard()["templating"]["list"]]
    return {name for query in asked for name in re.findall(r"neurond_\w+", query)}
