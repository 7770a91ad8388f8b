"""Settings and figures that several studies have in common."""

from __future__ import annotations

from typing import Any

from neurond.experiments.study import Settings

ALWAYS: Settings = {"defaults.group.update": {"rule": "always"}}
"""Each step moves its weight at once."""


def notify(rule: str, threshold: float | None = None, **more: Any) -> dict[str, Any]:
    """The same rule on all links and at the loss."""
    body = {"rule": rule, **({} if threshold is None else {"threshold": threshold}), **more}
    return {"defaults.link.notify": body, "loss.notify": body}


EXACT: Settings = {**notify("exact"), **ALWAYS}
"""No threshold anywhere: every gradient is sent, every step moves its weight."""


def in_step(volley: int) -> dict[str, Any]:
    """A synchronous pipeline of the same processes: a volley goes forward and back before the next one starts.

    The window is one volley and there are no thresholds, so each volley is a step of mini-batch training.
    """
    return {**EXACT, "source.volley": volley, "source.window": volley}
