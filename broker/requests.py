"""Commands of clients and what was answered: the same id, asked again, gets the same answer (pure)."""

from __future__ import annotations

from collections import OrderedDict

from topology.wire import Reply

REMEMBERED = 1024
"""Requests kept, answered or not; beyond that the oldest is forgotten."""


class Requests:
    """The requests of all clients, by id."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._routes: OrderedDict[str, list[bytes]] = OrderedDict()  # who waits for the answer
        self._replies: dict[str, Reply] = {}

    def is_new(self, id: str, route: bytes) -> bool:
        """Note that `route` asks; true if the request is to be carried out, false if it is a retry."""
        routes = self._routes.get(id)
        if routes is None:
            self._routes[id] = [route]
            while len(self._routes) > self._remembered:
                oldest, _ = self._routes.popitem(last=False)
                self._replies.pop(oldest, None)
            return True
        if route not in routes:
            routes.append(route)
        return False

    def reply(self, id: str) -> Reply | None:
        """What was answered; None while it is being carried out."""
        return self._replies.get(id)

    def answered(self, reply: Reply) -> list[bytes]:
        """Note the answer; the routes that wait for it (none if the request is forgotten)."""
        routes = self._routes.get(reply.id, [])
        if routes:
            self._replies[reply.id] = reply
        return routes
