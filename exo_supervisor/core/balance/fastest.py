"""The least loaded by measured speed."""

from collections.abc import Sequence

from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.load.marks import Pair


def fastest(nodes: Sequence[Pair], at: Situation) -> int:
    """Choose the node with the shortest expected wait.

    Ties are broken by `draw`, so that a cold start does not send everybody to one node.
    """
    loads, at.compared = at.latency.loads(nodes, at.concurrency.at, at.now)
    least = min(loads)
    place, ties = loads.index(least), loads.count(least)
    if ties > 1:
        tied = [place for place, load in enumerate(loads) if load == least]
        place = tied[int(at.draw * ties) % ties]
    return place
