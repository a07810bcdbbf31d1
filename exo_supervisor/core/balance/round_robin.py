"""One after the other."""

from collections.abc import Sequence

from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.names import Target


def round_robin(nodes: Sequence[Target], at: Situation) -> Target:
    """Choose the next node in turn."""
    return nodes[at.turn % len(nodes)]
