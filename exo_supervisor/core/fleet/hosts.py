"""Node ids: who still answers by each, and which models stand on it.

An instance is sharded over hosts that its cluster knows by their ids. Our own probes learn in a few
seconds that one is gone, where Exo's master needs 30 to 40.
"""

from collections.abc import Mapping

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import Address, ClusterKey, ModelId, NodeId

MAX_GONE = 4096
"""Ids that answered once and do no more; they are new at every start, so the oldest is dropped."""

Stand = tuple[ClusterKey, ModelId]


class Hosts:
    """Owns what is known of ids; the registry tells it of every change."""

    def __init__(self) -> None:
        self._at: dict[NodeId, set[Address]] = {}
        self._gone = Bounded[NodeId, None](MAX_GONE)
        self._lagging: set[NodeId] = set()
        self._stands: dict[NodeId, set[Stand]] = {}

    def answered(self, node_id: NodeId, address: Address) -> bool:
        """Note that an id answers at an address; True if it was gone."""
        self._at.setdefault(node_id, set()).add(address)
        was_gone = node_id in self._gone
        self._gone.pop(node_id, None)
        return was_gone

    def left(self, node_id: NodeId, address: Address) -> bool:
        """Note that an id answers no more at an address; True if it answers nowhere now."""
        addresses = self._at.get(node_id, set())
        if address not in addresses:
            return False
        addresses.remove(address)
        if addresses:
            return False
        del self._at[node_id]
        self._lagging.discard(node_id)
        self._gone[node_id] = None
        return True

    def note_lag(self, node_id: NodeId, *, lagging: bool) -> bool:
        """Note whether a host lags behind its cluster; True if that is new."""
        if lagging == (node_id in self._lagging) or (lagging and node_id not in self._at):
            return False
        (self._lagging.add if lagging else self._lagging.remove)(node_id)
        return True

    def forget(self, node_id: NodeId, address: Address) -> None:
        """Note no more that an id answers at an address, and take it for no sign of its end."""
        addresses = self._at.get(node_id, set())
        addresses.discard(address)
        if not addresses:
            self._at.pop(node_id, None)

    def is_gone(self, node_id: NodeId) -> bool:
        """Say whether an id answered once and does no more."""
        return node_id in self._gone

    def ails(self, node_id: NodeId) -> str | None:
        """Say why nothing can run on a host now, if that is so."""
        if self.is_gone(node_id):
            return "host_down"
        return "host_lags" if node_id in self._lagging else None

    def stand(
        self, key: ClusterKey, before: Mapping[ModelId, Placed], now: Mapping[ModelId, Placed]
    ) -> None:
        """Note on which hosts the models of a cluster stand now, and no longer those of before."""
        for model, placed in before.items():
            for host in _hosts(placed):
                stands = self._stands[host]
                stands.discard((key, model))
                if not stands:
                    del self._stands[host]
        for model, placed in now.items():
            for host in _hosts(placed):
                self._stands.setdefault(host, set()).add((key, model))

    def on(self, node_id: NodeId) -> list[Stand]:
        """List the models that stand on a host."""
        return sorted(self._stands.get(node_id, ()))


def _hosts(placed: Placed) -> set[NodeId]:
    return {host for instance in placed.instances for host in instance.hosts}
