"""The lines above every view: how far the run is, how well it does, and which view this is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from monitor.columns import STATES, fitting
from monitor.console.page import Glyphs, Spans, cut, text_of
from monitor.dense import COUNTED_LOSSES, counted
from monitor.figures import compact, duration, number, percent, times
from monitor.view import View

WIDE = 100  # characters of a screen from which nothing needs to be short
TROUBLE = 23  # characters that what went wrong has at least
SAVED, SAVINGS = "saved ", 2  # what stands before the fields of that rank and above, in the line of quality

Field = tuple[int, Spans]
"""Its rank, and itself: the highest rank is left out first where there is no room, 0 never."""


def progress(view: View, word: str, width: int, glyphs: Glyphs) -> Spans:
    """The name of the network, the word for its state, and how far it is."""
    done, total = view.stimuli, view.gauge("total")
    bar = 16 if width >= WIDE else 8
    share = min(1.0, done / total) if done is not None and total else None
    name: Spans = [(f" {view.name or 'neurond'} ", "strong"), (f" {word}", STATES.get(word, "dim"))]
    fields: list[Field] = []
    if share is not None:
        full = round(share * bar)
        drawn: Spans = [(glyphs.pick("━", "=") * full, "good"), (glyphs.pick("─", ".") * (bar - full), "dim")]
        fields += [(4, drawn), (2, [(percent(share, 0), "")])]
    of = f"/{total:,.0f}" if total else ""
    fields.append((1, [(f"{'-' if done is None else f'{done:,}'}{of}{' stimuli' if width >= WIDE else ''}", "")]))
    fields.append((3, [(f"{compact(view.stimuli_per_s)}/s", "")]))
    eta, trained = view.eta_s, view.gauge("train_s")
    left = "" if not eta or view.ended else f", {duration(eta)} left"
    fields.append((0, [(f"{duration(trained)}{left}", "dim")]))
    return _clipped(_joined([(0, name), *fields], width, 2), width, glyphs)


def quality(view: View, width: int, glyphs: Glyphs) -> Spans:
    """How well it has learned, what it saved, and what went wrong on the way, if anything did."""
    wide = width >= WIDE
    fields: list[Field] = []
    for rank, label, value in (
        (1, "loss", number(view.gauge("loss"))),
        (0, "train", percent(view.gauge("train_accuracy"))),
        (0, "test", percent(view.gauge("test_accuracy"))),
    ):
        fields.append((rank, [(f"{label} ", "dim"), (value, "")]))
    if trouble := _trouble(view, max(TROUBLE, width // 3)):
        fields.append((0, [(trouble, "warn")]))
    names = ("notifications", "updates", "bytes") if wide else ("notif.", "upd.", "bytes")
    for rank, label, counter in zip((2, 3, 4), names, ("notifications", "updates", "bytes"), strict=True):
        fields.append((rank, [(f"{label} ", "dim"), (_times(view.saved(counter), wide), "")]))
    gap = 2 if wide else 1
    shown = _fitting(fields, width - len(SAVED) - 1, gap)
    saved = next((i for i, (rank, _) in enumerate(shown) if rank >= SAVINGS), None)
    if saved is not None:
        rank, spans = shown[saved]
        shown[saved] = (rank, [(SAVED, "dim"), *spans])
    return _clipped([(" ", ""), *_joined(shown, width, gap)], width, glyphs)


def _trouble(view: View, room: int) -> str:
    """What the summary counts on the way, as far as there is room; "" where all went well."""
    seen_here = {"restarts": view.restarts, "feed_drops": view.feed_drops}
    words = counted({key: view.total(key) for key in COUNTED_LOSSES} | seen_here)
    for left in range(len(words)):
        shown = ", ".join([*words[: len(words) - left], *([f"+{left}"] if left else [])])
        if len(shown) <= room:
            return shown
    return f"{words[0]}, +{len(words) - 1}" if len(words) > 1 else "".join(words)


def _times(ratio: float | None, wide: bool) -> str:
    """How many times fewer, as `times` has it; on a narrow screen ``1.9kx`` for more than a thousand."""
    if ratio is None or math.isinf(ratio) or ratio < 999.5 or wide:
        return times(ratio)
    unit, size = next((u, s) for u, s in (("G", 1e9), ("M", 1e6), ("k", 999.5)) if ratio >= s)
    value = ratio / (1e3 if unit == "k" else size)
    return f"{value:.{0 if value >= 9.95 else 1}f}{unit}x"


def _fitting(fields: Sequence[Field], width: int, gap: int) -> list[Field]:
    """The fields that fit beside each other, whole; those of the highest ranks are left out first, 0 never."""
    return fitting(fields, width, lambda field: field[0], lambda shown: len(text_of(_beside(shown, gap))))


def _joined(fields: Sequence[Field], width: int, gap: int) -> Spans:
    """The fields that fit beside each other."""
    return _beside(_fitting(fields, width, gap), gap)


def _beside(fields: Sequence[Field], gap: int) -> Spans:
    """The fields, two spaces apart; `gap` between those of the savings."""
    spans: Spans = []
    for (before, _), (rank, field) in pairwise([(0, []), *fields]):
        apart = gap if min(before, rank) >= SAVINGS else 2
        spans += [(" " * apart, ""), *field] if spans else field
    return spans


def tabs(names: Sequence[str], current: int, flags: Sequence[str], width: int, glyphs: Glyphs) -> Spans:
    """The views with their digits, and at the right how this console stands."""
    spans: Spans = []
    for i, name in enumerate(names):
        spans.append((f" {i + 1} {name} ", "tab" if i == current else "dim"))
    words = "".join(f"[{flag}]" for flag in flags)
    used = sum(len(text) for text, _ in spans)
    return _clipped([*spans, (" " * max(1, width - used - len(words) - 1), ""), (words, "warn")], width, glyphs)


def tab_at(names: Sequence[str], x: int) -> int | None:
    """The view whose name is at column `x` of `tabs`."""
    start = 0
    for i, name in enumerate(names):
        start += len(name) + 4
        if x < start:
            return i
    return None


def _clipped(spans: Spans, width: int, glyphs: Glyphs) -> Spans:
    """The spans in at most `width` characters."""
    clipped: Spans = []
    for text, role in spans:
        if len(text) > width:
            return [*clipped, (cut(text, width, glyphs), role)]
        clipped.append((text, role))
        width -= len(text)
    return clipped
