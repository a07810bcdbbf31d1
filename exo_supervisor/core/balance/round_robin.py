"""One after the other."""

from collections.abc import Sequence

from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.load.marks import Pair


def round_robin(nodes: Sequence[Pair], at: Situation) -> Pair:
    """Choose the next node in turn."""
    return nodes[at.turn % len(nodes)]
