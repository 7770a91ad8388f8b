"""A page of HTML that holds all it needs: style, tables, charts; no script, nothing fetched. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from monitor.charts import COLOURS, Series

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfb; --card: #ffffff; --ink: #14130f; --dim: #62605a; --rule: #e3e1db;
  --s1: #2a78d6; --s2: #c2571a; --s3: #12876a; --s4: #a8710a; --s5: #4a3aa7; --s6: #d03b3b; --s7: #b5437f;
  --s8: #5f6b1f; }
@media (prefers-color-scheme: dark) { :root { --paper: #161614; --card: #1e1e1c; --ink: #f2f1ec; --dim: #a5a29a;
  --rule: #35342f; --s1: #5b9bec; --s2: #e58a4b; --s3: #2fb594; --s4: #d9a13a; --s5: #a59bf0; --s6: #ef7b7b;
  --s7: #e287b5; --s8: #aab65a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2.5rem) 4rem; max-width: 88rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: .5rem 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
p { margin: .25rem 0; max-width: 70ch; } .dim, figcaption, th, summary { color: var(--dim); }
.path { overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 0; padding: 0; list-style: none; }
.tiles li, figure { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .75rem; }
.tiles b { display: block; font-size: 1.45rem; line-height: 1.2; font-weight: 600; }
.tiles span { color: var(--dim); font-size: .85rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: .75rem; }
figure { margin: 0; min-width: 0; } figcaption { font-size: .9rem; margin-bottom: .35rem; }
figcaption b { color: var(--ink); font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; } svg .name { fill: var(--ink); font-weight: 600; }
.grid, .axis { stroke: var(--rule); fill: none; } .axis { stroke: var(--dim); }
.mark { stroke: var(--dim); stroke-dasharray: 2 3; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .touch { opacity: 0; } .touch:hover { opacity: 1; }
.bar { fill: var(--s1); } .link { fill: none; stroke: var(--s1); stroke-linecap: round; opacity: .75; }
.box { fill: var(--card); stroke: var(--dim); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .35rem 0 0; padding: 0; list-style: none;
  font-size: .85rem; } .legend i { display: inline-block; width: 1rem; height: .25rem; margin-right: .4rem;
  vertical-align: middle; border-radius: 2px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th { font-weight: 500; text-align: left; } th, td { padding: .25rem .9rem .25rem 0; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.share { min-width: 6rem; } td.share i { display: block; height: .5rem; margin-top: .5rem; background: var(--s1);
  border-radius: 2px; } td:first-child { white-space: nowrap; } .bad { color: var(--s6); } td b { font-weight: 650; }
pre { overflow-x: auto; font-size: .85rem; line-height: 1.45; padding: .75rem; background: var(--card);
  border: 1px solid var(--rule); border-radius: .5rem; } summary { cursor: pointer; margin: .5rem 0; }
@media print { body { max-width: none; } figure, tr { break-inside: avoid; } }
""" + "".join(
    f".line.s{i}, .touch.s{i} {{ stroke: var(--s{i}); }} .touch.s{i}, .point.s{i}, i.s{i} {{ fill: var(--s{i}); "
    f"}} i.s{i} {{ background: var(--s{i}); }}\n"
    for i in range(1, COLOURS + 1)
)

HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page of some parts, which are HTML already."""
    return HEAD.format(title=escape(title), style=STYLE) + "\n".join(p for p in parts if p) + "\n</body>\n</html>\n"


def section(title: str, *parts: str) -> str:
    """A heading and what is below it; nothing where nothing is."""
    body = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>" if body else ""


def words(text: str, style: str = "") -> str:
    """A paragraph of plain text."""
    kind = f' class="{style}"' if style else ""
    return f"<p{kind}>{escape(text)}</p>" if text else ""


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """A few figures in large: (value, what it is)."""
    each = "".join(f"<li><b>{escape(value)}</b><span>{escape(what)}</span></li>" for value, what in figures)
    return f'<ul class="tiles">{each}</ul>'


def figure(title: str, chart: str, series: Sequence[Series] = (), note: str = "") -> str:
    """A chart with its title, and a legend where it has more than one line; nothing where the chart is empty."""
    if not chart:
        return ""
    legend = ""
    if len(series) > 1:
        each = (f'<li><i class="s{i + 1}"></i>{escape(s.label)}</li>' for i, s in enumerate(series) if s.points)
        legend = f'<ul class="legend">{"".join(each)}</ul>'
    more = f" {escape(note)}" if note else ""
    return f"<figure><figcaption><b>{escape(title)}</b>{more}</figcaption>{chart}{legend}</figure>"


def charts(figures: Iterable[str]) -> str:
    """Figures side by side, as many as there is room for."""
    body = "\n".join(f for f in figures if f)
    return f'<div class="charts">\n{body}\n</div>' if body else ""


class Cell(str):
    """A cell of a table as HTML; any other text in a table is plain."""

    __slots__ = ()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A table of plain text and `Cell`s: the first `text` columns are words, the others numbers."""

    def made(row: Sequence[str]) -> str:
        cells = (c if isinstance(c, Cell) else cell(c, "" if i < text else "n") for i, c in enumerate(row))
        return f"<tr>{''.join(cells)}</tr>\n"

    body = "".join(made(row) for row in rows)
    if not body:
        return ""
    head = "".join(f"<th{'' if i < text else ' class=n'}>{escape(h)}</th>" for i, h in enumerate(heads))
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'


def cell(text: str, style: str = "", bold: bool = False) -> Cell:
    """A cell of a table; `style` is a class of the style sheet."""
    kind = f' class="{style}"' if style else ""
    inner = f"<b>{escape(text)}</b>" if bold else escape(text)
    return Cell(f"<td{kind}>{inner}</td>")


def share_cell(share: float | None) -> Cell:
    """A cell with a bar as long as a share of one."""
    bar = "" if share is None else f'<i style="width:{100 * share:.1f}%"></i>'
    return Cell(f'<td class="share">{bar}</td>')


def folded(title: str, text: str) -> str:
    """Plain text that is shown when its title is clicked."""
    return details(title, f"<pre>{escape(text)}</pre>" if text else "")


def details(title: str, *parts: str) -> str:
    """What is shown when its title is clicked, HTML already; nothing where nothing is."""
    body = "\n".join(part for part in parts if part)
    return f"<details><summary>{escape(title)}</summary>\n{body}\n</details>" if body else ""
