"""A setting that was changed while a network trains, and has grown so far that it may be a slip. Pure."""

from __future__ import annotations

FAR = 100  # times as much as it was, or as the topology has


def slip(name: str, before: float, after: float, planned: float) -> str:
    """What to warn of, where a setting has grown out of all proportion; "" where it has not.

    Args:
        name: process and key, as ``h1 lr``.
        before: what it was.
        after: what it is.
        planned: what the topology has.

    """
    for than, words in ((before, "it was"), (planned, f"the topology has, {planned:g}")):
        if than and after > FAR * than:
            return f"{name} is over {FAR} times what {words}; a training that diverges ends the run"
    return ""
