"""A node, the cluster that it belongs to, and how far it has come."""

from typing import Literal

from msgspec import Struct, field

from exo_supervisor.core.events import Placed, Why
from exo_supervisor.core.names import Address, ClusterKey, Generation, ModelId, NodeId

Rung = Literal["seen", "reachable", "identified", "clustered", "placed", "ready"]

MAX_CLAIMS = 32
"""Ids that are remembered for one address: on a Docker bridge every host has the same one."""


class Node(Struct):
    """One Exo API endpoint.

    `claims` are the ids that its sources announced, None where an Exo of any id is welcome; `why`
    is why it did not say who it is, `unread` why it did not tell its state.
    """

    address: Address
    url: str
    since: float
    seeded: bool = False
    sources: set[str] = field(default_factory=set[str])
    claims: dict[NodeId, None] | None = None
    generation: Generation | None = None
    node_id: NodeId | None = None
    state_paths: bool = False
    version: str | None = None
    up: bool = False
    was_up: bool = False
    misses: int = 0
    returns: int = 0
    heard: float = 0.0
    looked: bool = False
    why: Why | None = None
    detail: str = ""
    unread: Why | None = None
    latency: float = 0.0
    alias_of: Address | None = None
    cluster: ClusterKey | None = None
    listed: tuple[NodeId, ...] = ()
    listed_at: float | None = None
    rung: Rung = "seen"


class Cluster(Struct):
    """Nodes that share one state, and the last that was read of it."""

    key: ClusterKey
    members: tuple[Address, ...]
    generation: Generation
    models: dict[ModelId, Placed] = field(default_factory=dict[ModelId, Placed])
    index: int | None = None
    read_at: float = -1.0
    turn: int = 0


def rung_of(node: Node, cluster: Cluster | None) -> Rung:
    """Say how far a node has come on the ladder from seen to ready; A has no placement."""
    if not node.up:
        return "reachable" if node.why in ("not_exo", "bad_answer") else "seen"
    if cluster is None:
        return "identified"
    models = cluster.models.values()
    if any(placed.ready for placed in models):
        return "ready"
    if node.generation == "A":
        return "identified"
    return "placed" if models else "clustered"


def claim(node: Node, claimed: NodeId | None) -> None:
    """Remember who a node is said to be; a source that claims nothing vouches for anyone."""
    if claimed is None:
        node.claims = None
    elif node.claims is not None:
        node.claims.pop(claimed, None)
        node.claims[claimed] = None
        if len(node.claims) > MAX_CLAIMS:
            del node.claims[next(iter(node.claims))]


def fell(before: int | None, index: int | None) -> bool:
    """Say whether a cluster's event index began anew, which tells a re-election (Exo B and C).

    Members lag behind each other by a few events: only a fall by half counts.
    """
    return before is not None and index is not None and index < before // 2
