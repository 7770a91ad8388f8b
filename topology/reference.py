"""The reference page of topology files, written from their JSON Schema: `python -m topology.reference`.

docs/topology.md is this module's output; a test holds the two equal, so the page cannot fall behind the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from topology.load import zoo
from topology.section import LEAST_MEMORY_MIB
from topology.write import json_schema

Schema = dict[str, Any]

_SECTIONS = (  # heading, definition in the schema, keys that stand in a section of their own
    ("The file", None, ("source", "groups", "loss", "links", "limits", "defaults")),
    ("source", "Source", ()),
    ("groups.NAME", "Group", ("optimizer", "update")),
    ("groups.NAME.optimizer", "Optimizer", ()),
    ("groups.NAME.update", "Update", ()),
    ("loss", "Loss", ("notify",)),
    ("loss.notify", "LossNotify", ()),
    ("links.'PRE -> POST'", "Link", ("notify",)),
    ("links.'PRE -> POST'.notify", "Notify", ()),
    ("limits.NAME", "Limits", ()),
    ("defaults", "Defaults", ("group", "link")),
)

_INTRODUCTION = """\
# Topology files

Written by `python -m topology.reference`; edit `topology/spec.py`, not this page.

A topology file is YAML 1.2. `neurond check FILE` says everything that is wrong with one, with line and column;
`neurond expand FILE` prints it with every default filled in; `neurond schema` prints the JSON Schema for editors;
`neurond init` writes a small one to start from. These are ready by name (`neurond zoo`): {zoo}.

- A key that is not known is an error, and so is one that means nothing beside the others (`k` without `top_k`). What
  can run but makes little sense (`cool` with a constant learning rate) is a warning of `neurond check`.
- Types are strict: `4` is not `"4"`. A duration has a unit: `250ms`, `2s`, `1.5m`, `1h`; from 1ms to 24h.
- `${{VAR}}` and `${{VAR:-default}}` are replaced by environment variables; `$$` is a `$`.
- `--set groups.h1.optimizer.lr=0.02` overrides any value; it may be given many times.
- A name is a letter, then up to 31 letters, digits, `_` or `-`. `source`, `loss`, `broker` and `monitor` are taken.
- The links must make a directed acyclic graph: everything is fed by the source and reaches the loss.
"""

_WORDS = {
    "source": "Where they are not given, `label` is the last column and `test` a fifth. "
    "A relative PATH starts from the current directory; a run folder keeps the whole path.",
    "groups.NAME": """\
All keys but `size` and `shards` may also stand in `defaults.group`; a group's own value wins.

| Join | When a stimulus fires, and with what |
|---|---|
| `match` | when its inputs have come on all links, with these |
| `latest` | with its first input, and with what came last on each other link, whatever stimulus that was of |
| `sum` | when its inputs have come on all links; what came after its own on a link is added |

With `latest` and `sum` the gradient is that of the mixed input, and goes back to each stimulus in it. Evaluations are
joined by `match` always. A shard is a link of its own.""",
    "groups.NAME.update": """\
`literal` is for study: it learns like the others while one stimulus is under way (`window: 1`), and worse with each
more, with each layer, and with a higher threshold. `notify` and `feedback` of its links in have no effect, nor have
`staleness_decay`, `look_ahead` and `delay_compensation`. What it is, and why that is so: `neurond/literal.py`.""",
    "links.'PRE -> POST'": "All keys may also stand in `defaults.link`. A link without a body takes every default. "
    "Nothing is sent back to the source, so `notify` and `feedback` have no effect on its links.",
    "loss.notify": "The keys of a link's `notify`, with a higher threshold.",
    "links.'PRE -> POST'.notify": """\
| Rule | What becomes a notification |
|---|---|
| `exact` | every gradient g |
| `drop` | g where abs(g) > T; the rest is lost |
| `top_k` | the k largest abs(g) of each stimulus |
| `residual` | per neuron, the sum of what was not sent, once its size exceeds T |
| `quantum` | per neuron, whole multiples of T of that sum; the remainder stays |
| `stochastic` | g where abs(g) >= T, else sign(g) T with probability abs(g) / T: right on average, no memory |
| `sampled` | as likely for each g, but those of a stimulus go together, so fewer stimuli have any: for the loss |""",
}


def reference() -> str:
    """The page, in Markdown."""
    schema = json_schema()
    listed = ", ".join(f"`{name}`" for name in zoo())
    return "\n".join((_INTRODUCTION.format(zoo=listed), *_page(schema)))


def _page(schema: Schema) -> Iterator[str]:
    for heading, definition, apart in _SECTIONS:
        section = schema if definition is None else schema["$defs"][definition]
        yield f"## {heading if definition is None else f'`{heading}`'}\n"
        if definition is not None:
            yield f"{section['description']}\n"
        if heading in _WORDS:
            yield f"{_WORDS[heading]}\n"
        yield "| Key | Default | Values | Meaning |\n|---|---|---|---|"
        required = section.get("required", ())
        for key, value in section["properties"].items():
            default = "required" if key in required else _default(value)
            shown = ("see below", _meaning(value)) if key in apart else (_values(value), _meaning(value))
            yield f"| `{key}` | {default} | {' | '.join(shown)} |"
        yield ""


def _default(value: Schema) -> str:
    default = value.get("default")
    if default is None:
        return ""
    return f"`{default:g}`" if isinstance(default, float) else f"`{json.dumps(default).strip(chr(34))}`"


def _values(value: Schema) -> str:
    """What a key may hold: the words, or the type and its range."""
    given = next((v for v in value.get("anyOf", ()) if v.get("type") != "null"), value)
    if "const" in given:
        return f"`{given['const']}`"
    if "enum" in given:
        return ", ".join(f"`{word}`" for word in given["enum"])
    if given.get("type") == "array":
        return f"list of {_values(given['items'])}"
    kind = {"integer": "whole number", "number": "number", "string": "text", "object": "mapping"}[given["type"]]
    if kind == "text" and "(ms|s|m|h)" in given.get("pattern", ""):
        return "duration, `off`" if "off" in given["pattern"] else "duration"
    if kind == "text" and given.get("pattern", "").endswith("(m|g)$"):
        return f"from {LEAST_MEMORY_MIB}m"
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
    return " ".join((kind, *(f"{word} {_number(given[bound])}" for bound, word in bounds if bound in given)))


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) and bound < 2**32 else f"{bound:g}"


def _meaning(value: Schema) -> str:
    """The key's description in one line; a vertical bar would end the table's cell."""
    return " ".join(value.get("description", "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
