"""Settings and figures that several studies have in common."""

from __future__ import annotations

from typing import Any

from neurond.experiments.study import Settings

LOSS = 5 / 3
"""Threshold of the loss in those of the links, as the defaults have it (0.5 and 0.3)."""

ALWAYS: Settings = {"defaults.group.update": {"rule": "always"}}
"""Each step moves its weight at once."""


def notify(rule: str, threshold: float | None = None, **more: Any) -> dict[str, Any]:
    """The same rule on all links and at the loss, whose threshold is `LOSS` times that of the links."""
    link, loss = {"rule": rule, **more}, {"rule": rule, **more}
    if threshold is not None:
        link["threshold"], loss["threshold"] = threshold, round(LOSS * threshold, 6)
    return {"defaults.link.notify": link, "loss.notify": loss}


EXACT: Settings = {**notify("exact"), **ALWAYS}
"""No threshold anywhere: every gradient is sent, every step moves its weight."""


def in_step(volley: int) -> dict[str, Any]:
    """A synchronous pipeline of the same processes: a volley goes forward and back before the next one starts.

    The window is one volley and there are no thresholds, so each volley is a step of mini-batch training.
    """
    return {**EXACT, "source.volley": volley, "source.window": volley}
