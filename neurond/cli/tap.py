"""The verb tap: the messages of one link, as they pass, or how many there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.attached import again, checked, command, with_client
from neurond.cli.output import out, out_json, suggest
from neurond.cli.processes import hear
from neurond.cli.which import AsJson, Broker, Insecure, Keys, Run
from neurond.errors import WrongUse

if TYPE_CHECKING:
    from monitor.client import Client

ARROW = " -> "
FRAMES, MOST = 10, 100
ASK_S = 6.0  # for a process to answer; the broker says sooner that it does not
MEASURE_S = 2.0
RATED = ("sent", "bytes", "values")  # counters that are told as a rate

Rates = dict[str, float | None]
"""What one end of a link sends, a second, and what was amiss with what came to it; None where it was not counted."""


def tap(
    link: Annotated[list[str], typer.Argument(metavar="PRE POST", help="Both ends: h1 h2, or 'h1 -> h2'.")],
    n: Annotated[
        int, typer.Option("--frames", "-n", min=1, max=MOST, metavar="N", help="So many each way.")
    ] = FRAMES,
    measure: Annotated[bool, typer.Option("--measure", help="Count what passes for two seconds instead.")] = False,
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Print the messages of a link as they pass, spikes forward and notifications back; or measure them.

    A stimulus is told by its number; 2:80,400 is of the source's second incarnation, which began anew.
    """
    pre, post = ends_of(link)
    name = f"{pre}{ARROW}{post}"

    async def looked(client: Client) -> dict[str, Any]:
        ends = await _ends(client, pre, name)
        if measure:
            return await _measured(client, name, ends)
        frames = await asyncio.gather(*(_frames(client, end, name, n) for end in ends))
        return dict(zip(ends, frames, strict=True))

    told = with_client(looked, broker, run, keys, insecure)
    if as_json:
        out_json({"link": name, **told})
        return
    from monitor.tapped import tapped

    for end, sent in told.items():
        for line in lines_of(sent) if measure else tapped(sent):
            out(f"{end} {'to' if end == pre else 'back to'} {post if end == pre else pre}: {line}")
    suggest(again(f"tap {pre} {post}" + ("" if measure else " --measure"), broker, run))


def ends_of(words: Sequence[str]) -> tuple[str, str]:
    """The two processes that a link was named by; WrongUse if it cannot be read."""
    parts = [part for word in words for part in word.replace("->", " ").split()]
    if len(parts) != 2:
        raise WrongUse(f"a link has two ends: neurond tap h1 h2, or 'h1 -> h2' in quotes, not {' '.join(words)!r}")
    return parts[0], parts[1]


async def _ends(client: Client, pre: str, link: str) -> list[str]:
    """The processes at both ends of a link, `pre` first; WrongUse with a guess if there is no such link."""
    _, view = await hear(client)
    checked(link, dict.fromkeys(known for process in view.processes for known in process.links), "link")
    ends = [process.name for process in view.processes if link in process.links]
    return sorted(ends, key=lambda end: end != pre)


async def _telemetry(client: Client, process: str) -> dict[str, Any]:
    """What a process has counted up to now."""
    told: dict[str, Any] = (await command(client, "status", process, timeout_s=ASK_S))[process]["telemetry"]
    return told


async def _frames(client: Client, process: str, link: str, n: int) -> list[dict[str, Any]]:
    """The headers of the next frames that one end sends."""
    told = await command(client, "tap", process, timeout_s=ASK_S, link=link, n=n)
    frames: list[dict[str, Any]] = told[process]["frames"]
    return frames


async def _measured(client: Client, link: str, ends: Sequence[str]) -> dict[str, Rates]:
    """What each end sends, from its counters now and `MEASURE_S` later."""
    began = time.monotonic()
    before = {end: await _telemetry(client, end) for end in ends}
    await asyncio.sleep(MEASURE_S)
    after = {end: await _telemetry(client, end) for end in ends}
    took_s = time.monotonic() - began
    return {end: rates(link, before[end], after[end], took_s) for end in ends}


def rates(link: str, before: Mapping[str, Any], after: Mapping[str, Any], took_s: float) -> Rates:
    """The rates of one end of a link, from two reports of it that are `took_s` seconds apart.

    A process that was started anew in between has no rate: its counters began again.
    """
    from monitor.traffic import CARRIED, LOST

    same = before["incarnation"] == after["incarnation"]
    old, new = before["links"].get(link, {}), after["links"].get(link, {})
    grown = {key: new[key] - old[key] if same and key in old and key in new else None for key in (*CARRIED, *LOST)}
    return {
        **{f"{key}_per_s": None if (n := grown[key]) is None else round(n / took_s, 1) for key in CARRIED},
        **{key: grown[key] for key in LOST},
    }


def lines_of(told: Rates) -> list[str]:
    """The rates of one end of a link in words; what cannot be laid beside a dense pass is left out."""
    from monitor.figures import compact, percent
    from monitor.traffic import CARRIED, LOST

    said = [f"{compact(told[f'{key}_per_s'])} {CARRIED[key]}/s" for key in RATED]
    # A rule that sends every value saves no bytes, however few of the values are spikes: both are told.
    for key, dense in (("values", "dense"), ("bytes", "dense_bytes")):
        sent, full = told[f"{key}_per_s"], told[f"{dense}_per_s"]
        if sent is not None and full:
            said.append(f"{percent(sent / full)} of dense {key}")
    return [f"{', '.join(said)}; {', '.join(f'{compact(told[key])} {key}' for key in LOST)}"]
