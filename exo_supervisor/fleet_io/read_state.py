"""What a node tells of its cluster: its models, placed, ready or known, and its machines.

A state holds the prompts of other people's requests: no byte of it is logged or handed on.
"""

from contextlib import suppress

from exo_supervisor.core.events import CapacityRead, PlacementRead
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import Address, ModelId, NodeId
from exo_supervisor.fleet_io.probe import Found, Prober
from exo_supervisor.runtime.fetch import GetError
from exo_supervisor.wire.exo.capacity import (
    Machines,
    read_full_machines,
    read_machine_a,
    read_machines,
)
from exo_supervisor.wire.exo.identity import read_cards
from exo_supervisor.wire.exo.legacy import read_models_a, read_topology_a
from exo_supervisor.wire.exo.state import Placement, read_full_state, read_state, with_downloads
from exo_supervisor.wire.exo.traits import TRAITS

_LONGEST = 32 * 2**20
_LONGEST_LIST = 4 * 2**20


async def read_placement(
    prober: Prober, node: Address, found: Found, until: float, *, disks: bool = False
) -> tuple[PlacementRead, CapacityRead | None]:
    """Ask a node for its placement, in the way of its generation, until an instant.

    What it downloads is asked where an instance waits for it, or `disks` are of interest. The
    capacities come along where that costs no further question. Raises GetError for an answer that
    does not come, WireError for one that cannot be read.
    """
    if not TRAITS[found.identity.generation].has_state:
        return await _read_a(prober, node, until)
    if found.state_paths:
        return _told(node, await _read_paths(prober, until, disks=disks)), None
    state = await prober.body("/state", until, _LONGEST)
    placement = read_full_state(state)
    return _told(node, placement), _bear(node, read_full_machines(placement.nodes, state))


async def read_capacity(
    prober: Prober, node: Address, listed: tuple[NodeId, ...], until: float
) -> CapacityRead | None:
    """Ask a node that has `/state/{path}` what the machines of those it listed have and bear.

    What is not answered is not known.
    """
    parts: list[bytes] = []
    for path in ("/state/nodeMemory", "/state/nodeSystem", "/state/nodeIdentities"):
        part = b"null"
        with suppress(GetError):
            part = await prober.body(path, until, _LONGEST_LIST)
        parts.append(part)
    memory, system, identities = parts
    return _bear(node, read_machines(listed, memory, system, identities))


async def read_cards_of(prober: Prober, until: float) -> dict[ModelId, tuple[str, ...]]:
    """Ask a node which models its Exo knows of, and what they can; raises GetError or WireError."""
    cards = read_cards(await prober.body("/v1/models", until, _LONGEST_LIST))
    return {
        name: card.capabilities
        for card in cards
        for name in (card.id, card.alias)
        if name is not None
    }


async def _read_paths(prober: Prober, until: float, *, disks: bool) -> Placement:
    index = await prober.body("/state/lastEventAppliedIdx", until)  # first: the rest is as new
    instances = await prober.body("/state/instances", until, _LONGEST)
    runners = await prober.body("/state/runners", until, _LONGEST)
    topology = await prober.body("/state/topology", until, _LONGEST)
    seen = b"null"
    with suppress(GetError):  # it only tells who is silent
        seen = await prober.body("/state/lastSeen", until, _LONGEST_LIST)
    placement = read_state(instances, runners, topology, index, seen)
    if disks or placement.waits():
        with suppress(GetError):
            return with_downloads(placement, await prober.body("/state/downloads", until, _LONGEST))
    return placement


async def _read_a(
    prober: Prober, node: Address, until: float
) -> tuple[PlacementRead, CapacityRead | None]:
    """Take every model that the engine can run as ready: generation A loads at first request.

    With an empty topology, it serves nothing.
    """
    topology = await prober.body("/v1/topology", until, _LONGEST_LIST)
    listed, own = read_topology_a(topology), read_machine_a(topology)
    models = read_models_a(await prober.body("/initial_models", until, _LONGEST_LIST))
    why = "loads at first request" if listed else "its topology is empty"
    placed = tuple(Placed(model, bool(listed), why) for model in models)
    told = PlacementRead(node=node, listed=listed, models=placed)
    return told, None if own is None else CapacityRead(node=node, capacities={}, own=own)


def _told(node: Address, placement: Placement) -> PlacementRead:
    return PlacementRead(
        node=node,
        listed=placement.nodes,
        models=placement.models,
        index=placement.index,
        runners=placement.runners,
        orphans=placement.orphans,
        downloaded=placement.downloaded,
    )


def _bear(node: Address, machines: Machines) -> CapacityRead | None:
    if not machines.capacities and not machines.ghosts:
        return None
    return CapacityRead(node=node, capacities=machines.capacities, ghosts=machines.ghosts)
