"""What an attempt is told when it starts: where it goes, and how long each stage may take."""

from msgspec import structs

from exo_supervisor.core.effects import Announce, Effect, StartAttempt, Timers
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.load.heads import Heads
from exo_supervisor.core.load.marks import STREAM
from exo_supervisor.core.names import Address
from exo_supervisor.core.policy import NO_STREAM_OPTIONS, Cloud, PeerRules
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.request import Attempt, RequestState
from exo_supervisor.core.tables import Tables

_CALLS = frozenset({"tools", "functions"})
"""Demands with which a part of an answer may be written in silence."""
_NONE = frozenset[str]()
_ONE_PIECE = frozenset({"embeddings"})
"""Demands for what never comes as a stream."""
SOONEST = 2.0
"""Seconds of silence, at least, until the state is asked about it."""


def start_of(state: RequestState, attempt: Attempt, tables: Tables) -> list[Effect]:
    """Start an attempt, and note on it how its node and its cluster are now."""
    candidate = attempt.candidate
    dialect = None
    effects: list[Effect] = []
    if candidate.provider is not None:
        cloud = tables.clouds.providers[candidate.provider].cloud
        url, timers = cloud.url, _cloud_timers(cloud, tables.heads, state.event.demands)
        bends = cloud.quirks or tables.quirks.known or state.left_out
        if not cloud.streams or bends or state.event.demands:
            timers = _settle_form(state, attempt, cloud, timers, tables)
        dialect = cloud.dialect
    else:
        node = tables.registry.nodes[Address(candidate.target)]
        if not node.used and node.trust == "found":
            effects.append(_first_use(node))
        url = node.url
        timers = _node_timers(candidate, node.peer, state.event.size, tables)
        _note(attempt, node, tables)
    attempt.timers = timers
    # By their places: over 15 names in a call cost as much as the rest of this function.
    effects.append(StartAttempt(
        state.event.request, attempt.number, candidate.target, url, candidate.model,
        candidate.generation, timers, state.shift, state.route.commit_at_answer,
        state.route.continues, state.resuming, attempt.streamed, attempt.usage, dialect,
        attempt.without, candidate.key, candidate.provider is not None and attempt.side == "exo",
        attempt.reserved, attempt.choice, state.seen.local_only,
    ))  # fmt: skip
    return effects


def _note(attempt: Attempt, node: Node, tables: Tables) -> None:
    """Note on an attempt what has to hold for as long as it is silent."""
    fresh = tables.candidates.at(node.address, attempt.candidate.model)
    attempt.copies, attempt.ready_copies = fresh.copies, fresh.ready_copies
    attempt.node_id = node.node_id
    attempt.index = None if node.view is None else node.view.index
    if attempt.candidate.peer.ring:
        attempt.ring = frozenset(node.listed)


def _cloud_timers(cloud: Cloud, heads: Heads, demands: frozenset[str]) -> Timers:
    """Give a head the time that this provider's heads take, and a call with tools its silence.

    Many clouds write a call in silence. What they say of it comes whole at its end, as late as a
    first content may come.
    """
    timers = cloud.timers
    if cloud.learns_head and timers.headers is not None:
        limit = heads.limit(cloud.name, timers.headers)
        if limit != timers.headers:
            timers = structs.replace(timers, headers=limit)
    if demands.isdisjoint(_CALLS) or timers.stall >= timers.first_content:
        return timers
    return structs.replace(timers, stall=timers.first_content)


def _first_use(node: Node) -> Announce:
    """Tell of the first prompt to a node that is only found: anybody may be found."""
    node.used = True
    advice = f'exo-supervisor nodes trust {node.address}, or discovery.trust = "named"'
    facts: dict[str, object] = {
        "node": node.address,
        "source": sorted(node.sources),
        "advice": advice,
    }
    return Announce(level="info", name="node_first_used", facts=facts)


def _settle_form(
    state: RequestState, attempt: Attempt, cloud: Cloud, timers: Timers, tables: Tables
) -> Timers:
    """Leave out of what we ask for what is not taken there; tell the timers for what is left.

    An answer that is no stream shows nothing, not even a head, before all of it is there.
    """
    pair = attempt.candidate.pair
    refused = cloud.quirks | tables.quirks.known.get(pair, _NONE)
    refused |= {what for where, what in state.left_out if where == pair}
    streams = cloud.streams and _ONE_PIECE.isdisjoint(state.event.demands)
    attempt.streamed = streams and STREAM not in refused
    attempt.usage = attempt.streamed and NO_STREAM_OPTIONS not in refused
    attempt.without = refused
    if not attempt.usage:
        attempt.without |= {NO_STREAM_OPTIONS} if attempt.streamed else {NO_STREAM_OPTIONS, STREAM}
    return timers if attempt.streamed else structs.replace(timers, headers=None)


def _node_timers(candidate: Candidate, peer: PeerRules, size: int, tables: Tables) -> Timers:
    """Give a prompt the time that prompts of its size took before; the configured is the least.

    Where that is little, the state is asked about a silence all the sooner.
    """
    timers, cold_load = peer.timers, tables.policy.waits.cold_load
    if peer.loads_late and not tables.latency.has_sample(candidate.target, candidate.model):
        most = max(cold_load, timers.first_content)
        return structs.replace(timers, first_content=most, first_content_max=most)
    if not tables.prefill.pace:  # nothing was learnt of anybody
        return timers
    learnt = tables.prefill.allows(candidate.scope, candidate.model, size)
    if 0.0 < learnt < timers.stall / 2 and peer.has_state:
        return structs.replace(timers, quiet=max(learnt, SOONEST))
    if learnt <= timers.first_content:
        return timers
    most = cold_load if peer.loads_late else timers.first_content_max
    first = min(learnt, max(most, timers.first_content))
    return structs.replace(
        timers, first_content=first, first_content_max=max(first, timers.first_content_max)
    )
