"""The least loaded by measured speed."""

from collections.abc import Sequence

from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.names import Target


def fastest(nodes: Sequence[Target], at: Situation) -> Target:
    """Choose the node with the shortest expected wait.

    Ties are broken by `draw`, so that a cold start does not send everybody to one node.
    """
    load, model, now, at_work = at.latency.load, at.model, at.now, at.concurrency.at
    best, tied, others, waits = None, list[Target](), at.others, at.waits
    for node in nodes:
        asked = others.get(node, model) if others else model
        its = load(node, asked, at_work.get(node, 0), now)
        waits.append(its[0])
        if best is None or its < best:
            best, tied = its, [node]
        elif its == best:
            tied.append(node)
    return tied[int(at.draw * len(tied)) % len(tied)]
