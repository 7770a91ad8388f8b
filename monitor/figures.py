"""Numbers as a person reads them, in few characters; a dash where nothing was measured. Pure.

What is sent and what is written is told in kB and MB, of 10^3 and 10^6 bytes; memory in MiB, of 2^20, as systems
tell and limit it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-~=+*#"


def compact(n: float | None) -> str:
    """A count in at most six characters: ``98,765``, ``1.23M``; a dash for None."""
    if n is None:
        return "-"
    if abs(n) < 99_999.5:
        return f"{n:,.0f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        if abs(n) < 999.5 * size or unit == "T":
            return f"{n / size:.{0 if abs(n) >= 99.95 * size else 1}f}{unit}"
    raise AssertionError(n)


def count(n: float | None) -> str:
    """A count in full, ``1,234,567``; a dash for None."""
    return "-" if n is None else f"{n:,}"


def ratio(sparse: int | None, dense: int | None) -> float | None:
    """How many times fewer `sparse` is than `dense`; inf where none was needed, None where either is not known."""
    if sparse is None or not dense:
        return None
    return dense / sparse if sparse else math.inf


def times(ratio: float | None) -> str:
    """How many times fewer: ``3.4x``, ``1,934x``, ``all`` where nothing was needed; a dash for None."""
    if ratio is None:
        return "-"
    return "all" if math.isinf(ratio) else f"{ratio:,.{0 if ratio >= 10 else 1}f}x"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one as ``97.4 %``; a dash for None."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """Seconds as ``0:07`` or ``1:02:03``; a dash for None."""
    if seconds is None:
        return "-"
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


def number(x: float | None, digits: int = 3) -> str:
    """A plain number with fixed digits; a dash for None."""
    return "-" if x is None else f"{x:.{digits}f}"


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """A curve in one row of at most `width` characters, scaled to its own least and largest value."""
    if not values or width < 1:
        return ""
    step = max(1.0, len(values) / width)
    picked = [values[min(len(values) - 1, int((i + 1) * step) - 1)] for i in range(min(width, len(values)))]
    low, high = min(picked), max(picked)
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    top = len(blocks) - 1
    return "".join(blocks[round(top * (v - low) / (high - low)) if high > low else 0] for v in picked)
