"""What a node tells of its cluster: which models are placed, which are ready, which it knows.

A state holds the prompts of other people's requests: no byte of it is logged or handed on.
"""

from contextlib import suppress

from exo_supervisor.core.events import Placed, PlacementRead
from exo_supervisor.core.names import Address, ModelId
from exo_supervisor.edge.probe import Found, Prober
from exo_supervisor.runtime.fetch import GetError
from exo_supervisor.wire.exo import read_cards
from exo_supervisor.wire.legacy import read_models_a, read_topology_a
from exo_supervisor.wire.state import Placement, read_full_state, read_state

_LONGEST = 32 * 2**20
_LONGEST_LIST = 4 * 2**20


async def read_placement(
    prober: Prober, node: Address, found: Found, until: float
) -> PlacementRead:
    """Ask a node for its placement, in the way of its generation, until an instant.

    Raises GetError for an answer that does not come, WireError for one that cannot be read.
    """
    if found.identity.generation == "A":
        return await _read_a(prober, node, until)
    if found.state_paths:
        placement = await _read_paths(prober, until)
    else:
        placement = read_full_state(await prober.body("/state", until, _LONGEST))
    return PlacementRead(
        node=node,
        listed=placement.nodes,
        models=placement.models,
        index=placement.index,
        runners=placement.runners,
        orphans=placement.orphans,
    )


async def read_cards_of(prober: Prober, until: float) -> tuple[ModelId, ...]:
    """Ask a node which models its Exo knows of; raises GetError or WireError."""
    cards = read_cards(await prober.body("/v1/models", until, _LONGEST_LIST))
    return tuple(name for card in cards for name in (card.id, card.alias) if name is not None)


async def _read_paths(prober: Prober, until: float) -> Placement:
    instances = await prober.body("/state/instances", until, _LONGEST)
    runners = await prober.body("/state/runners", until, _LONGEST)
    topology = await prober.body("/state/topology", until, _LONGEST)
    index = await prober.body("/state/lastEventAppliedIdx", until)
    seen = b"null"
    with suppress(GetError):  # it only tells who is silent
        seen = await prober.body("/state/lastSeen", until, _LONGEST_LIST)
    return read_state(instances, runners, topology, index, seen)


async def _read_a(prober: Prober, node: Address, until: float) -> PlacementRead:
    """Take every model that the engine can run as ready: generation A loads at first request.

    With an empty topology, it serves nothing.
    """
    listed = read_topology_a(await prober.body("/v1/topology", until, _LONGEST_LIST))
    models = read_models_a(await prober.body("/initial_models", until, _LONGEST_LIST))
    why = "loads at first request" if listed else "its topology is empty"
    placed = tuple(Placed(model, bool(listed), why) for model in models)
    return PlacementRead(node=node, listed=listed, models=placed)
