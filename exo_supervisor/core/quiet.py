"""Attempts without progress: the state of their cluster says whether they can still finish.

Exo keeps a stream open whose model is gone and sends keep-alives in it, so that silence alone
tells nothing: only the state knows of an election, of a lost instance, of a restarted node.
"""

from exo_supervisor.core.effects import CancelAttempt, Effect, ReadPlacement
from exo_supervisor.core.events import AttemptQuieted
from exo_supervisor.core.flights import Attempt
from exo_supervisor.core.members import MemberView
from exo_supervisor.core.names import Address, ClusterKey, RequestId
from exo_supervisor.core.options import Tables
from exo_supervisor.core.outcomes import Fault


class Quiet:
    """Owns the attempts whose silence is asked about; each leaves with its content or its end."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._attempts: dict[RequestId, Attempt] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def quieted(self, attempt: Attempt, event: AttemptQuieted, now: float) -> list[Effect]:
        """Ask the state about an attempt at a node; end it if nobody vouches for it."""
        node = self._tables.registry.nodes.get(Address(attempt.option.target))
        if node is None or node.node_id != attempt.node_id:
            return [_cancel(event.request, attempt, Fault.STATE_LOST)]
        self._attempts[event.request] = attempt
        asked, view = attempt.asked_at, node.view
        unread = asked is not None and (view is None or view.read_at < asked)
        if not unread:
            attempt.asked_at = now
        patience = self._tables.policy.timers(attempt.option.generation or "C").first_content
        if unread and not event.begun and event.silence >= patience:
            return [_cancel(event.request, attempt, Fault.FIRST_CONTENT_TIMEOUT)]
        return [ReadPlacement(node=node.address)]

    def forget(self, request: RequestId) -> None:
        """Ask no more: the attempt made progress, or is over."""
        self._attempts.pop(request, None)

    def state_read(self, cluster: ClusterKey) -> list[Effect]:
        """End the attempts of a cluster whose state says that they can never finish."""
        lost = [
            (request, attempt)
            for request, attempt in self._attempts.items()
            if self._is_lost(attempt, cluster)
        ]
        for request, _ in lost:
            del self._attempts[request]
        return [_cancel(request, attempt, Fault.STATE_LOST) for request, attempt in lost]

    def _is_lost(self, attempt: Attempt, key: ClusterKey) -> bool:
        """Say whether the state that was just read has no place for an attempt any more."""
        registry = self._tables.registry
        node = registry.nodes.get(Address(attempt.option.target))
        if node is None or node.node_id != attempt.node_id:
            return True
        if node.cluster != key:
            return False
        cluster = registry.clusters[key]
        placed = cluster.models.get(attempt.option.model)
        if placed is None or not placed.ready:
            return True
        instances = cluster.instances(attempt.option.model)
        if attempt.instances and attempt.instances.isdisjoint(instances):
            return True  # what is ready now is a new copy, which has never heard of it
        return _fell(attempt.index, node.view)


def _fell(before: int | None, view: MemberView | None) -> bool:
    """Say whether the member that holds a stream has left the session in which it began."""
    index = None if view is None else view.index
    return before is not None and index is not None and index < before


def _cancel(request: RequestId, attempt: Attempt, fault: Fault) -> CancelAttempt:
    return CancelAttempt(request=request, attempt=attempt.number, fault=fault)
