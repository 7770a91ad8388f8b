"""A stranger at the inboxes of a run that trains: whatever it sends is counted, and the run comes to its end."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import psutil
import zmq

import neurond
from monitor.view import View
from neurond import data
from neurond.runs import open_run
from tests.fault.faults import Fault, Place, injects
from tests.supervised import broker_address
from topology import address, wire
from topology.plan import SOURCE, LinkPlan, Plan

EPOCHS = 30
RANDOM_FRAMES = 300  # to each inbox
STRANGE = 999  # an incarnation that nobody has
LOST_IN_THOUGHT = 50_000  # a number that a link could have jumped to, and did not
BEYOND = 1 << 40  # one that no link can have


def spikes(link: LinkPlan, incarnation: int, seq: int) -> bytes:
    """A frame as the pre process might have sent it, of a stimulus long past."""
    ids, values = np.array([0]), np.ones((1, link.n_pre), np.float32)
    return wire.encode(wire.Spikes(link.index, incarnation, 1, seq, 1, True, ids, values))


def forged(plan: Plan) -> dict[str, list[bytes]]:
    """Frames by the process whose inbox they are for: well-formed, and lies."""
    frames = {
        group.name: [
            spikes(link, *lie) for link in group.links_in for lie in ((1, BEYOND), (STRANGE, 0), (1, LOST_IN_THOUGHT))
        ]
        for group in plan.groups
    }
    one, yes = np.array([0]), np.array([True])
    loss = np.zeros(1, np.float32)
    confirms = wire.Confirms(plan.source.confirms, 1, 1, 2**63 - 1, 1, True, one, loss, yes, yes)
    return frames | {SOURCE: [wire.encode(confirms)]}


def noise(seed: int) -> Iterable[bytes]:
    """Bytes that are nothing at all; every third begins as a frame does."""
    rng = random.Random(seed)
    start = wire.encode(wire.Closes(0, 1, 1, 0, 1, np.array([0])))[:4]
    for n in range(RANDOM_FRAMES):
        yield (start if n % 3 == 0 else b"") + rng.randbytes(rng.randrange(200))


class Attack:
    """An `on_view` that sends to every inbox once, as soon as the run trains."""

    def __init__(self, run_dir: Path) -> None:
        self.at: int | None = None  # stimuli that were confirmed by then
        self._run_dir = run_dir

    def __call__(self, view: View) -> None:
        if self.at is None and view.stimuli:
            self.at = view.stimuli
            self._send()

    def _send(self) -> None:
        plan = open_run(self._run_dir).plan
        (broker,) = (line for p in psutil.Process().children() if "broker" in (line := p.cmdline()))
        folder = address.folder(broker_address(broker))
        assert folder is not None
        with zmq.Context() as context:
            for number, (name, lies) in enumerate(forged(plan).items()):
                # PUSH: HWM 1000, which is more than we send; lingers until all is sent.
                with context.socket(zmq.PUSH) as push:
                    push.connect(address.in_folder(folder, name))
                    for frame in (*lies, *noise(number)):
                        push.send(frame, zmq.NOBLOCK)


@injects(Place.PROCESSES, Fault.FORGED, Fault.FUZZ)
async def test_a_stranger_at_the_inboxes(tmp_path: Path) -> None:
    """Forged and random frames at every inbox cost a run no stimulus, and each of them is counted."""
    attack = Attack(tmp_path)
    # One volley under way: were a false number believed, true frames would come only as often as one is retried.
    settings = {"source.epochs": EPOCHS, "source.volley": 16, "source.window": 16}
    run = await neurond.run_async("digits", settings, run_dir=tmp_path, on_view=attack)
    summary, groups = run.summary, len(run.plan.groups)
    total = EPOCHS * data.describe("digits").train
    assert attack.at is not None
    assert attack.at < total / 2, "the attack came too late to matter"
    assert summary["why"] == "finished"
    assert summary["stimuli"] == total
    assert summary["wire_errors"] == RANDOM_FRAMES * (groups + 1) + groups + 1  # and what was BEYOND
    assert summary["fenced"] == groups
    assert summary["duplicates"] == groups  # the false jumps, refused
    assert summary["gaps"] == 0
    assert summary["test_accuracy"] > 0.9
