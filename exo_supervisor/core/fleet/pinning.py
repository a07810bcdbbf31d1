"""A person's word on nodes: pins are made, kept, and given up when another machine is there."""

from collections.abc import Iterator

from exo_supervisor.core.effects import Effect, KeepPins, say
from exo_supervisor.core.events import LinkSeen, NodeTrusted
from exo_supervisor.core.fleet.trust import MAX_PINS, Pin
from exo_supervisor.core.tables import Tables


class Pinning:
    """Takes in what persons say of nodes, and what tells that a pinned one is another machine."""

    def __init__(self, tables: Tables) -> None:
        self._registry = tables.registry
        self._trust = tables.registry.trust

    def take(self, event: NodeTrusted | LinkSeen, now: float) -> Iterator[Effect]:
        """Take one of these events in; the groupings that come of it wait at the registry."""
        if isinstance(event, LinkSeen):
            return self._met(event, now)
        return self._pin(event, now) if event.trusted else self._unpin(event, now)

    def _pin(self, event: NodeTrusted, now: float) -> Iterator[Effect]:
        pins = self._trust.pins
        if event.node not in pins and len(pins) >= MAX_PINS:
            return
        pins[event.node] = Pin()
        self._registry.retrust(event.node, now)
        yield say("info", "node_trusted", node=event.node)
        yield self._kept()

    def _unpin(self, event: NodeTrusted, now: float) -> Iterator[Effect]:
        if self._trust.pins.pop(event.node, None) is None:
            return
        self._registry.retrust(event.node, now)
        yield say("info", "node_untrusted", node=event.node)
        yield self._kept()

    def _met(self, event: LinkSeen, now: float) -> Iterator[Effect]:
        """Believe the first link-layer address; another one is another machine."""
        pin = self._trust.pins.get(event.node)
        if pin is None:
            return
        if pin.link in (None, event.link):
            new, pin.link, pin.sure = pin.link is None, event.link, True
            self._registry.retrust(event.node, now)
            if new:
                yield self._kept()
            return
        del self._trust.pins[event.node]
        self._registry.retrust(event.node, now)
        advice = f"if you changed the machine: exo-supervisor nodes trust {event.node}"
        seen = {"was": pin.link, "is": event.link}
        yield say("error", "node_unpinned", node=event.node, **seen, advice=advice)
        yield self._kept()

    def _kept(self) -> KeepPins:
        return KeepPins(pins=tuple((node, pin.link) for node, pin in self._trust.pins.items()))
