"""The lines above every view: how far the run is, how well it does, and which view this is. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.console.page import Glyphs, Span, Spans, cut
from monitor.figures import compact, duration, number, percent, times
from monitor.view import View

WIDE = 100  # characters of a screen from which nothing needs to be short


def progress(view: View, word: str, width: int, glyphs: Glyphs) -> Spans:
    """The name of the network, the word for its state, and how far it is."""
    done, total = view.stimuli, view.gauge("total")
    bar = 16 if width >= WIDE else 8
    share = min(1.0, done / total) if done is not None and total else None
    spans: Spans = [(f" {view.name or 'neurond'} ", "strong"), (f" {word}  ", _role(word))]
    fields: list[Span] = []
    if share is not None:
        full = round(share * bar)
        fields += [(glyphs.pick("━", "=") * full, "good"), (glyphs.pick("─", ".") * (bar - full), "dim")]
        fields.append((f" {percent(share, 0)}  ", ""))
    of = f"/{total:,.0f}" if total else ""
    fields.append((f"{'-' if done is None else f'{done:,}'}{of}{' stimuli' if width >= WIDE else ''}  ", ""))
    fields.append((f"{compact(view.stimuli_per_s)}/s  ", ""))
    eta, trained = view.eta_s, view.gauge("train_s")
    fields.append((f"{duration(trained)}{'' if not eta or view.ended else f', {duration(eta)} left'}", "dim"))
    return _clipped([*spans, *fields], width, glyphs)


def quality(view: View, width: int, glyphs: Glyphs) -> Spans:
    """How well it has learned, and what it saved."""
    spans: Spans = [(" ", "")]
    for label, value in (
        ("loss", number(view.gauge("loss"))),
        ("train", percent(view.gauge("train_accuracy"))),
        ("test", percent(view.gauge("test_accuracy"))),
    ):
        spans += [(f"{label} ", "dim"), (f"{value}  ", "")]
    spans.append(("saved: ", "dim"))
    wide = width >= WIDE
    words = ("notifications", "updates", "bytes") if wide else ("notif.", "upd.", "bytes")
    for label, counter in zip(words, ("notifications", "updates", "bytes"), strict=True):
        spans += [(f"{label} ", "dim"), (f"{times(view.saved(counter))}{'  ' if wide else ' '}", "")]
    return _clipped(spans, width, glyphs)


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


def _role(word: str) -> str:
    return {"running": "good", "ended": "good", "recording ended": "warn", "paused": "warn"}.get(
        word, "dim" if word else ""
    )


def _clipped(spans: Spans, width: int, glyphs: Glyphs) -> Spans:
    """The spans in at most `width` characters."""
    clipped: Spans = []
    for text, role in spans:
        if len(text) > width:
            return [*clipped, (cut(text, width, glyphs), role)]
        clipped.append((text, role))
        width -= len(text)
    return clipped
