"""Each cluster's state is read again and again, by its members in turn."""

from collections.abc import Callable

from exo_supervisor.core.effects import Effect, ReadPlacement
from exo_supervisor.core.names import ClusterKey
from exo_supervisor.core.tables import Tables

CAPACITY_EVERY = 3
"""Rounds of a cluster's members, in one of which each is asked for the capacities, too.

Each path of a state costs Exo 14 ms, and a member that is deaf to it must not hide the capacities.
"""


class Rereading:
    """Owns which clusters have an alarm for their next reading: each has one, until it ends."""

    def __init__(self, tables: Tables, wake: Callable[[float, ClusterKey], None]) -> None:
        self._tables, self._wake = tables, wake
        self._scheduled: set[ClusterKey] = set()
        self._grouping_version = 0

    def __len__(self) -> int:
        return len(self._scheduled)

    def schedule(self, now: float) -> None:
        """Give each cluster that has none its alarm, if there can be such a one."""
        if self._grouping_version == self._tables.registry.grouping_version:
            return
        self._grouping_version = self._tables.registry.grouping_version
        for key in self._tables.registry.clusters:
            if key not in self._scheduled:
                self._scheduled.add(key)
                self._wake(now + self._tables.policy.ready_interval, key)

    def due(self, key: ClusterKey, now: float) -> list[Effect]:
        """Have a cluster's state read, and set its next alarm."""
        cluster = self._tables.registry.clusters.get(key)
        if cluster is None:
            self._scheduled.discard(key)
            return []
        self._wake(now + self._tables.policy.ready_interval, key)
        node = self._tables.registry.reader(cluster)
        capacity = cluster.turn // len(cluster.members) % CAPACITY_EVERY == 0
        return [] if node is None else [ReadPlacement(node=node, capacity=capacity)]
