"""How many attempts Exo works on at once; whoever finds no seat waits in the supervisor's own line.

Exo's own queue has no bound and no position. B and C batch `EXO_MAX_CONCURRENT_REQUESTS` requests
an instance, 8 by default since 1.0.69; before, they take one after the other. In generation A a
second one at once evicts the KV cache of the first (exo#453), whatever its model.
"""

from msgspec import Struct

from exo_supervisor.core.names import Generation, ModelId, Scope

BATCH = 8
"""Requests that one instance of B or C works on at once."""

Bench = tuple[Scope, ModelId | None]
"""What shares its seats: a model on a cluster, or a whole cluster of generation A."""


class Seats(Struct):
    """Owns the count of attempts on each bench; one that nobody sits on is a missing row."""

    taken: dict[Bench, int]

    def free(self, bench: Bench, seats: int) -> bool:
        """Say whether a bench with so many seats has one left."""
        return self.taken.get(bench, 0) < seats

    def sit(self, bench: Bench) -> None:
        """Take a seat."""
        self.taken[bench] = self.taken.get(bench, 0) + 1

    def rise(self, bench: Bench) -> None:
        """Give a seat back."""
        left = self.taken[bench] - 1
        if left:
            self.taken[bench] = left
        else:
            del self.taken[bench]


def bench_of(generation: Generation, scope: Scope, model: ModelId) -> Bench:
    """Name the bench of a model on a cluster."""
    return (scope, None) if generation == "A" else (scope, model)


def seats_of(generation: Generation, *, state_paths: bool, instances: int) -> int:
    """Count the seats of a bench; what has `/state/{path}` (1.0.70) batches for sure."""
    batch = BATCH if generation == "C" or (generation == "B" and state_paths) else 1
    return batch if generation == "A" else batch * max(1, instances)
