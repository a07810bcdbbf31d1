"""What a person may say of nodes: that one is trusted, or is so no more."""

from collections.abc import Callable
from typing import Literal

from exo_supervisor.core.events import Event, NodeTrusted
from exo_supervisor.core.fleet.trust import MAX_PINS
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address
from exo_supervisor.core.near_names import similar_clause
from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.serve.control.plain import alike
from exo_supervisor.views.nodes import only_found

Word = Literal["trust", "untrust"]
WORDS: dict[str, Word] = {"trust": "trust", "untrust": "untrust"}


class Trusting:
    """Takes `POST /supervisor/nodes/{id}/trust` and `/untrust`; without an id, all are meant."""

    def __init__(self, machine: Machine, ask: Callable[[Event], None]) -> None:
        self._registry, self._ask = machine.tables.registry, ask

    def say(self, address: str, word: Word) -> list[Address]:
        """Have it done, and list the nodes for which that changed. Raises BadRequestError."""
        pins = self._registry.trust.pins
        meant = [self._known(address)] if address else self._all(word)
        before = set(pins)
        for node in meant:
            self._ask(NodeTrusted(node=node, trusted=word == "trust"))
        if word == "trust" and not pins.keys() >= set(meant):
            text = f"no more than {MAX_PINS} nodes can be pinned: untrust one, or name it in"
            raise BadRequestError(Refusal(503, "overloaded", f"{text} discovery.static"))
        return sorted(before ^ set(pins))

    def _all(self, word: Word) -> list[Address]:
        if word == "untrust":
            return list(self._registry.trust.pins)
        return [node.address for node in self._registry.nodes.values() if only_found(node)]

    def _known(self, address: str) -> Address:
        found = Address(address)
        if found in self._registry.nodes or found in self._registry.trust.pins:
            return found
        text = "no such node" + similar_clause(alike(address, self._registry.nodes))
        raise BadRequestError(Refusal(404, "target_not_found", text))
