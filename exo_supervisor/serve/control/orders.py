"""What a person may order of models: to be placed on Exo once, or to be removed from it."""

from collections.abc import Callable
from typing import Literal

from exo_supervisor.core.events import Event, ModelOrdered
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.near_names import similar_clause
from exo_supervisor.core.outcomes import BadRequestError, Refusal

ORDERS: dict[str, Literal["place", "remove"]] = {"place": "place", "remove": "remove"}


class Orders:
    """Takes the orders of `POST /supervisor/models/{name}/place` and `/remove`."""

    def __init__(self, machine: Machine, ask: Callable[[Event], None]) -> None:
        self._machine, self._ask = machine, ask

    def give(self, name: str, order: Literal["place", "remove"]) -> None:
        """Have an order carried out. Raises BadRequestError."""
        models = self._models_of(name)
        clusters = self._machine.tables.registry.clusters.values()
        if not any(cluster.peer.has_state for cluster in clusters):
            text = "no cluster of Exo 1.0 or later is known, and nothing else takes placements"
            raise BadRequestError(Refusal(503, "no_target", text))
        self._ask(ModelOrdered(models=models, order=order))

    def named(self, name: str) -> str:
        """Return a name as an order's log line has it; one that is unknown may be a pasted key."""
        tables = self._machine.tables
        targets = (*tables.clouds.providers, *tables.registry.nodes)
        known = name in targets or self._machine.catalog.lookup(name) != "unknown"
        return name if known else "(unknown)"

    def _models_of(self, name: str) -> tuple[ModelId, ...]:
        """Find a model's ids at Exo; raises BadRequestError."""
        route = self._machine.catalog.lookup(name)
        if route == "card":
            return (ModelId(name),)
        models = () if isinstance(route, str) else route.exo
        if models:
            return models
        text = "only a cloud has this model"
        if route == "unknown":
            text = "Exo has no such model" + similar_clause(self._machine.catalog.similar(name))
        raise BadRequestError(Refusal(404, "model_not_found", text))
