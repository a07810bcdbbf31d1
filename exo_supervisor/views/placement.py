"""How far each model has come that is to stand on Exo, as it is shown."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.placement.desired import DesiredModel
from exo_supervisor.core.placement.state import Asked, Awaited, GivenUp, Loading, Resting

Wall = Callable[[float], str]
"""Turns one of our instants into RFC 3339, UTC."""
ON_THE_HUB = "Exo looks it up on the hub"
"""Why a model without a card takes a while before it is placed."""


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
    desired = machine.tables.reconciler.desired
    row = next((found for model in models if (found := desired.row_of(model)) is not None), None)
    if row is None:
        return None
    cards = machine.tables.registry.cards
    return _seen(row, wall, has_card=not cards or row.models[0] in cards)


def _seen(row: DesiredModel, wall: Wall, *, has_card: bool) -> PlacementSeen | None:
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
