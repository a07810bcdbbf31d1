"""How many attempts Exo works on at once; whoever finds no seat waits in the supervisor's own line.

Exo's own queue has no bound and no position. B and C batch `EXO_MAX_CONCURRENT_REQUESTS` requests
an instance, 8 by default since 1.0.69; before, they take one after the other. In Exo 0.0.x a
second one at once evicts the KV cache of the first (exo#453), whatever its model.
"""

from exo_supervisor.core.names import ModelId, Scope, Target
from exo_supervisor.core.policy import PeerRules

BATCH = 8
"""Requests that one instance of such an Exo works on at once."""

SeatKey = tuple[Scope, ModelId | None]
"""What shares its seats: a model on a cluster, or a whole cluster (`PeerRules.one_at_a_time`)."""


class Concurrency:
    """Owns the counts of attempts that are out: at each target, and of each seat key.

    Every attempt is counted in once and out once, by its settlement, so that the tables need no
    bound of their own: what has no attempt has no row.
    """

    def __init__(self) -> None:
        self.at: dict[Target, int] = {}
        self.taken: dict[SeatKey, int] = {}

    def free(self, key: SeatKey, seats: int) -> bool:
        """Return whether a key with so many seats has one left."""
        return self.taken.get(key, 0) < seats

    def acquire(self, target: Target, key: SeatKey | None) -> None:
        """Count an attempt in."""
        self.at[target] = self.at.get(target, 0) + 1
        if key is not None:
            self.taken[key] = self.taken.get(key, 0) + 1

    def release(self, target: Target, key: SeatKey | None) -> None:
        """Count an attempt out."""
        if left := self.at[target] - 1:
            self.at[target] = left
        else:
            del self.at[target]
        if key is None:
            return
        if left := self.taken[key] - 1:
            self.taken[key] = left
        else:
            del self.taken[key]


def key_of(peer: PeerRules, scope: Scope, model: ModelId) -> SeatKey:
    """Return the key of a model on a cluster."""
    return (scope, None) if peer.one_at_a_time else (scope, model)


def seats_of(peer: PeerRules, *, state_paths: bool, instances: int) -> int:
    """Return how many seats a key has."""
    if peer.one_at_a_time:
        return 1
    batch = BATCH if state_paths or not peer.batches_by_paths else 1
    return batch * max(1, instances)
