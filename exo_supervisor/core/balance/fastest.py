"""The least loaded by measured speed."""

from collections.abc import Sequence

from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.load.marks import Pair


def fastest(nodes: Sequence[Pair], at: Situation) -> Pair:
    """Choose the node with the shortest expected wait.

    Ties are broken by `draw`, so that a cold start does not send everybody to one node.
    """
    loads = at.latency.loads(nodes, at.concurrency.at, at.now)
    scored = list(zip(nodes, loads, strict=True))
    at.compared = [(target, wait) for (target, _), (wait, _) in scored]
    least = min(loads)
    tied = [pair for pair, load in scored if load == least]
    return tied[int(at.draw * len(tied)) % len(tied)]
