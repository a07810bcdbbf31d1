"""One after the other."""

from collections.abc import Sequence

from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.load.marks import Pair


def round_robin(nodes: Sequence[Pair], at: Situation) -> int:
    """Choose the next node in turn."""
    return at.turn % len(nodes)
