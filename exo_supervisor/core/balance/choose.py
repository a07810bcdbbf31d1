"""The balance policies by name; and how few nodes one of them has to look at."""

from collections.abc import Sequence

from exo_supervisor.core.balance.fastest import fastest
from exo_supervisor.core.balance.round_robin import round_robin
from exo_supervisor.core.balance.situation import Choose
from exo_supervisor.core.names import Address

POLICIES: dict[str, Choose] = {"fastest": fastest, "round_robin": round_robin}
"""What `routing.policy` may say.

A new policy is a module beside these and a row here; `Routing` in `config.schema` lists its name.
"""

SAMPLE = 8
"""How many nodes are compared at most, so that a choice costs the same in a large house."""


def policy_named(name: str) -> Choose:
    """Look a policy up; raises ValueError for a name that is not in the table."""
    if name not in POLICIES:
        raise ValueError(f"no balance policy is called {name!r}: use {' or '.join(POLICIES)}")
    return POLICIES[name]


def sample_start(count: int, draw: float) -> int:
    """Say at which place in a ring of so many nodes a sample begins."""
    return int(draw * count) % count if count > SAMPLE else 0


def sample(nodes: Sequence[Address], first: int) -> Sequence[Address]:
    """Take at most SAMPLE neighbours from a ring of nodes."""
    count = len(nodes)
    if count <= SAMPLE:
        return nodes
    return [nodes[(first + step) % count] for step in range(SAMPLE)]
