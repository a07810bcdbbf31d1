"""What a person may order of models: to be placed on Exo once, or to be removed from it."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from exo_supervisor.core.events import Event, ModelOrdered
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.placement.desired import Row
from exo_supervisor.core.placement.state import Asked, Awaited, GivenUp, Loading, Resting
from exo_supervisor.errors import BadRequestError

Wall = Callable[[float], str]
"""Turns one of our instants into RFC 3339, UTC."""
ON_THE_HUB = "Exo looks it up on the hub"
"""Why a model without a card takes a while before it is placed."""
ORDERS: dict[str, Literal["place", "remove"]] = {"place": "place", "remove": "remove"}


class PlacementSeen(Struct):
    """How far a model has come that is to stand on Exo; `until` is when it is tried again."""

    state: Literal["resting", "asked", "awaited", "loading", "given_up", "removing"]
    cluster: str | None = None
    why: str | None = None
    since: str | None = None
    until: str | None = None
    failures: int = 0


def placement_of(machine: Machine, models: tuple[ModelId, ...], wall: Wall) -> PlacementSeen | None:
    """Show what is done about a model; None where nothing is."""
    wants = machine.tables.keeper.wants
    row = next((found for model in models if (found := wants.row_of(model)) is not None), None)
    if row is None:
        return None
    cards = machine.tables.registry.cards
    return _seen(row, wall, has_card=not cards or row.models[0] in cards)


def _seen(row: Row, wall: Wall, *, has_card: bool) -> PlacementSeen | None:
    if row.removing:
        return PlacementSeen("removing", min(row.removing))
    match row.placing:
        case Resting(failures=0):
            return PlacementSeen("resting") if row.coming else None
        case Resting(failures=failures, until=until, why=why):
            return PlacementSeen("resting", None, why, None, wall(until), failures)
        case Asked(cluster=cluster, since=since, failures=failures):
            why = None if has_card else ON_THE_HUB
            return PlacementSeen("asked", cluster, why, wall(since), None, failures)
        case Awaited(cluster=cluster, since=since, failures=failures):
            return PlacementSeen("awaited", cluster, None, wall(since), None, failures)
        case Loading(cluster=cluster, since=since, how=how, failures=failures):
            return PlacementSeen("loading", cluster, how[0], wall(since), None, failures)
        case GivenUp(failures=failures, why=why):
            return PlacementSeen("given_up", None, why, None, None, failures)


class Orders:
    """Takes the orders of `POST /supervisor/models/{name}/place` and `/remove`."""

    def __init__(self, machine: Machine, ask: Callable[[Event], None]) -> None:
        self._machine, self._ask = machine, ask

    def give(self, name: str, order: Literal["place", "remove"]) -> None:
        """Have an order carried out. Raises BadRequestError."""
        models = self._models_of(name)
        clusters = self._machine.tables.registry.clusters.values()
        if not any(cluster.generation != "A" for cluster in clusters):
            text = "no cluster of Exo 1.0 or later is known, and nothing else takes placements"
            raise BadRequestError("no_target", text, status=503)
        self._ask(ModelOrdered(models=models, order=order))

    def _models_of(self, name: str) -> tuple[ModelId, ...]:
        """Find a model's ids at Exo; raises BadRequestError."""
        route = self._machine.catalog.lookup(name)
        if route == "card":
            return (ModelId(name),)
        models = () if isinstance(route, str) else route.exo_models()
        if models:
            return models
        near = self._machine.catalog.similar(name)
        text = "Exo has no such model" if route == "unknown" else "only a cloud has this model"
        if near and route == "unknown":
            text += f"; similar: {', '.join(near)}"
        raise BadRequestError("model_not_found", text, status=404)
