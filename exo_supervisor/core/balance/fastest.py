"""The least loaded by measured speed."""

from collections.abc import Sequence

from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.load.marks import Pair


def fastest(nodes: Sequence[Pair], at: Situation) -> Pair:
    """Choose the node with the shortest expected wait.

    Ties are broken by `draw`, so that a cold start does not send everybody to one node.
    """
    load, now, at_work, compared = at.latency.load, at.now, at.concurrency.at, at.compared
    best: tuple[float, int] | None = None
    tied: list[Pair] = []
    for pair in nodes:
        target, model = pair
        its = load(target, model, at_work.get(target, 0), now)
        compared.append((target, its[0]))
        if best is None or its < best:
            best, tied = its, [pair]
        elif its == best:
            tied.append(pair)
    return tied[int(at.draw * len(tied)) % len(tied)]
