"""A node, the cluster that it belongs to, and how far it has come."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field, structs

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.effects import Announce
from exo_supervisor.core.events import NodeSighted, PlacementRead, ProbeAnswered, ProbeFailed
from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.condition import Condition, Told, tell_lag
from exo_supervisor.core.fleet.grouping import Grouping
from exo_supervisor.core.fleet.members import FOREIGN, MemberView, Verdict, look, weigh
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import (
    Address,
    ClusterKey,
    Generation,
    ModelId,
    NodeId,
)
from exo_supervisor.core.network import Why
from exo_supervisor.core.policy import ANY_PEER, PeerRules

Rung = Literal["seen", "reachable", "identified", "clustered", "placed", "ready"]

Ground = Literal["named", "pinned", "loopback", "cluster", "link", "found"]
"""Why a node is trusted, or that it is not: it is only found. See `trust`."""

MAX_CLAIMS = 32
"""Ids that are remembered for one address: on a Docker bridge every host has the same one."""


MISSES = 3
"""Failed probes in a row that take a node down."""
RETURNS = 2
"""Answered probes in a row that bring a node back; a new one needs a single answer."""


class Node(Struct):
    """One Exo API endpoint.

    A `twin` goes by the id of another machine, and `proofs` are how often that showed in a row.
    `view` is the state of its cluster as it told it last. `claims` are the ids that its sources
    announced, None where an Exo of any id is welcome; `why` is why it did not say who it is,
    `unread` why it did not tell its state. `restarted_at` is when it was last found under a new
    id, `stuck_on` are the rungs on which it stood for long. One that was up and is down has fallen
    from the rung `fell_from`. Probes of it have been missed in a row since `missing_since`.
    """

    address: Address
    url: str
    since: float
    seeded: bool = False
    sources: set[str] = field(default_factory=set[str])
    claims: Bounded[NodeId, None] | None = None
    generation: Generation | None = None
    peer: PeerRules = ANY_PEER
    node_id: NodeId | None = None
    met: float = 0.0
    trust: Ground = "found"
    used: bool = False
    state_paths: bool = False
    version: str | None = None
    up: bool = False
    was_up: bool = False
    misses: int = 0
    missing_since: float | None = None
    returns: int = 0
    heard: float = 0.0
    looked: bool = False
    why: Why | None = None
    detail: str = ""
    unread: Why | None = None
    latency: float = 0.0
    alias_of: Address | None = None
    twin: bool = False
    proofs: int = 0
    cluster: ClusterKey | None = None
    listed: tuple[NodeId, ...] = ()
    listed_at: float | None = None
    view: MemberView | None = None
    rung: Rung = "seen"
    restarted_at: float | None = None
    stuck_on: frozenset[Rung] = frozenset()
    fell_from: Rung | None = None
    capacity: Capacity | None = None
    capacity_at: float = 0.0

    @property
    def lags(self) -> bool:
        """Say whether the others of its cluster are ahead of it, so that it serves nothing."""
        return self.view is not None and self.view.lags


class Cluster(Struct):
    """Nodes that share one state, and the truth of it: what the member that is furthest told.

    `told` is how its models stand as the state has it, `models` how they stand for us;
    `downloaded` are those that some node has on its disk.
    """

    key: ClusterKey
    members: tuple[Address, ...]
    peer: PeerRules
    models: dict[ModelId, Placed] = field(default_factory=dict[ModelId, Placed])
    told: dict[ModelId, Placed] = field(default_factory=dict[ModelId, Placed])
    condition: Condition = field(default_factory=Condition)
    index: int | None = None
    read_at: float = -1.0
    downloaded: frozenset[ModelId] = frozenset()
    turn: int = 0


def begin(event: NodeSighted, now: float) -> Node:
    """Make a node that was sighted for the first time."""
    node = Node(event.node, event.url, now, event.seeded, {event.source}, heard=now)
    if event.claimed is not None:
        node.claims = Bounded(MAX_CLAIMS)
        node.claims[event.claimed] = None
    return node


def rung_of(node: Node, cluster: Cluster | None) -> Rung:
    """Say how far a node has come on the ladder from seen to ready; not all have placements."""
    if not node.up:
        return "reachable" if node.why in ("not_exo", "bad_answer") else "seen"
    if cluster is None:
        return "identified"
    models = cluster.models.values()
    if not node.lags and any(placed.ready for placed in models):
        return "ready"
    if not node.peer.has_state:
        return "identified"
    return "placed" if models else "clustered"


def claim(node: Node, claimed: NodeId | None) -> None:
    """Remember who a node is said to be; a source that claims nothing vouches for anyone."""
    if claimed is None:
        node.claims = None
    elif node.claims is not None:
        node.claims.renew(claimed, None)


def is_another(node: Node, event: ProbeAnswered) -> bool:
    """Say whether somebody answers whom none of a node's sources announced there.

    IPFS and others announce themselves as Exo 1.0 does, and a Docker bridge's address leads from
    each host to another node. One that proved to be whom a source announced may restart.
    """
    return node.claims is not None and event.node_id not in node.claims


def note_answer(node: Node, event: ProbeAnswered, now: float) -> bool:
    """Take in who answers a probe; True if the node came up by it.

    One that was up before has to answer twice: a host that swaps answers now and then. A new id is
    a new process, which owes nothing to what the old one did.
    """
    restarted = node.node_id is not None and node.node_id != event.node_id
    if restarted:
        node.restarted_at = now
    if node.node_id != event.node_id:
        node.met = now
    node.claims = None
    node.generation, node.version = event.generation, event.version
    node.node_id, node.state_paths = event.node_id, event.state_paths
    node.latency, node.heard = event.latency, now
    node.why, node.detail, node.misses, node.missing_since = None, "", 0, None
    node.returns += 1
    came_up = not node.up and (not node.was_up or restarted or node.returns >= RETURNS)
    if came_up:
        node.up, node.was_up, node.fell_from = True, True, None
    return came_up


def note_miss(node: Node, event: ProbeFailed, now: float) -> bool:
    """Count a failed probe in a row; True if the node went down by it.

    An answer that makes progress meanwhile begins a new row: a node that is busy with it may well
    be slow to say who it is.
    """
    since, lived_at = node.missing_since, event.lived_at
    if since is None or (lived_at is not None and lived_at > since):
        node.misses, node.missing_since = 0, now
    node.misses, node.returns = node.misses + 1, 0
    node.why, node.detail, node.looked = event.why, event.detail, True
    fell = node.up and node.misses >= MISSES
    if fell:
        node.up, node.fell_from = False, node.rung
    return fell


def join(node: Node, key: ClusterKey, parents: Mapping[ClusterKey, ClusterKey], now: float) -> None:
    """Put a node into a cluster; what it told before, in another or in none, is of no session."""
    came, view = node.cluster, node.view
    merged = came != parents.get(key, key)
    if merged and view is not None and view.index is not None:
        node.view = structs.replace(view, foreign=now + FOREIGN)
    node.cluster = key


def take_view(
    node: Node, event: PlacementRead, members: list[Node], joins: list[Address], now: float
) -> Verdict:
    """Take in a state beside those that the members which answer told last; see `members`."""
    before, node.view = node.view, look(node.view, event, now)
    views = {
        mate.address: mate.view
        for mate in members
        if mate.view is not None and mate.alias_of is None and (mate.up or mate is node)
    }
    verdict = weigh(views, node.address, before, now, joins)
    for mate in members:
        mate.view = verdict.views.get(mate.address, None if verdict.elected else mate.view)
    return verdict


def take_verdict(
    cluster: Cluster, event: PlacementRead, before: MemberView | None, verdict: Verdict, now: float
) -> tuple[Announce, ...]:
    """Take in what a reading says of a cluster, beside its models; `before` is the member's."""
    was = Told(cluster.key, cluster.index, cluster.told, first=cluster.read_at < 0)
    said = [*cluster.condition.take(was, event, verdict, now)]
    view = verdict.views.get(event.node)
    if view is not None and len(verdict.views) > 1:
        said += tell_lag(event.node, cluster.key, before, view, now)
    cluster.index, cluster.read_at = verdict.truth.index, verdict.truth.read_at
    if event.downloaded is not None:
        cluster.downloaded = frozenset(event.downloaded)
    return tuple(said)


def carry_over(
    before: Mapping[ClusterKey, Cluster], grouping: Grouping, nodes: Mapping[Address, Node]
) -> dict[ClusterKey, Cluster]:
    """Make the clusters of a new grouping: one that split off knows what its parent knew."""
    parents, clusters = dict(grouping.born), dict[ClusterKey, Cluster]()
    for key, members in grouping.members.items():
        known = before.get(key) or before.get(parents.get(key, key))
        cluster = Cluster(key, members, nodes[members[0]].peer)
        if known is not None:
            cluster.models, cluster.told = dict(known.models), known.told
            cluster.condition = structs.replace(known.condition)
            cluster.index, cluster.read_at = known.index, known.read_at
            cluster.downloaded = known.downloaded
        clusters[key] = cluster
    return clusters
