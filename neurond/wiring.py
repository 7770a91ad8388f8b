"""The ends of a group's links, those of the loss among them, and what each roster means for them."""

from __future__ import annotations

from collections.abc import Iterator

from neurond.ends import Ends
from neurond.links import Inbound, Outbound
from neurond.readout import Readout
from topology.plan import LOSS_LINK, SOURCE, GroupPlan


class Wiring:
    """Both ends that a group has of each link, by position in its plan.

    `spikes_in` and `errors_out` (notifications and closes) are those of `plan.links_in`, `errors_in` and `spikes_out`
    those of `plan.links_out`; `position_in` and `position_out` have the positions by the links' numbers on the wire.
    `ends` has all of them, and those of the `readout`, where there is one.
    """

    def __init__(self, plan: GroupPlan, readout: Readout | None) -> None:
        self.position_in = {link.index: k for k, link in enumerate(plan.links_in)}
        self.position_out = {link.index: k for k, link in enumerate(plan.links_out)}
        self.spikes_in = [Inbound() for _ in plan.links_in]
        self.errors_out = [Outbound(link.pre) for link in plan.links_in]
        self.spikes_out = [Outbound(link.post) for link in plan.links_out]
        self.errors_in = [Inbound() for _ in plan.links_out]
        self._plan = plan
        self._readout = readout
        self.ends = Ends(self._hears(), self._tells())

    def inbounds(self) -> list[Inbound]:
        """Every end that receives."""
        return [inbound for _, inbound in self._hears()]

    def named(self) -> list[tuple[str, Inbound, Outbound]]:
        """Each link by its name, and the ends of it that are here."""
        ends = [
            *zip(self._plan.links_in, self.spikes_in, self.errors_out, strict=True),
            *zip(self._plan.links_out, self.errors_in, self.spikes_out, strict=True),
        ]
        named = [(link.name, received, sent) for link, received, sent in ends]
        if self._readout is not None:
            named.append((LOSS_LINK, self._readout.targets_in, self._readout.confirms_out))
        return named

    def _hears(self) -> Iterator[tuple[str, Inbound]]:
        """Every process that sends to this one, with the end that receives it."""
        for link, inbound in zip(self._plan.links_in, self.spikes_in, strict=True):
            yield link.pre, inbound
        for link, inbound in zip(self._plan.links_out, self.errors_in, strict=True):
            yield link.post, inbound
        if self._readout is not None:
            yield SOURCE, self._readout.targets_in

    def _tells(self) -> list[Outbound]:
        """Every end that sends."""
        sends = [*self.errors_out, *self.spikes_out]
        return sends if self._readout is None else [*sends, self._readout.confirms_out]
