"""Which of several equally good targets gets the next attempt."""

from collections.abc import Sequence
from typing import Literal

from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.names import Address, ModelId

SAMPLE = 8
"""How many nodes are compared at most, so that a choice costs the same in a large house."""


def sample(nodes: Sequence[Address], draw: float) -> Sequence[Address]:
    """Take at most SAMPLE neighbours from a ring of nodes, beginning at a random place."""
    count = len(nodes)
    if count <= SAMPLE:
        return nodes
    start = int(draw * count) % count
    return [nodes[(start + step) % count] for step in range(SAMPLE)]


def choose(
    nodes: Sequence[Address],
    model: ModelId,
    latency: Latencies,
    *,
    policy: Literal["fastest", "round_robin"],
    turn: int,
    draw: float,
    now: float,
) -> Address:
    """Choose one of some nodes: the least loaded by measured speed, or the next in turn.

    Ties are broken by `draw`, so that a cold start does not send everybody to one node.
    """
    if policy == "round_robin":
        return nodes[turn % len(nodes)]
    loads = [latency.load(node, model, now) for node in nodes]
    best = min(loads)
    tied = [node for node, load in zip(nodes, loads, strict=True) if load == best]
    return tied[int(draw * len(tied)) % len(tied)]
