"""Who vouches for an attempt that is silent: the state, for as long as all of it speaks for it.

Exo keeps a stream open whose model is gone and sends keep-alives in it, while a long step of a
prefill, or a call of a tool, is silent though all is well: only the state can tell the two apart.
"""

from enum import Enum

from exo_supervisor.core.events import PlacementRead
from exo_supervisor.core.fleet.members import MemberView
from exo_supervisor.core.fleet.nodes import Cluster, Node
from exo_supervisor.core.requests.request import Attempt

CERTAIN = ("refused", "reset")
"""Whys of a missed probe that say that nobody is there; silence may be load."""


class Word(Enum):
    """What the state says of an attempt: it goes on, nobody works on it, or it cannot finish."""

    VOUCHED = "vouched"
    IDLE = "idle"
    LOST = "lost"


def judge(attempt: Attempt, view: MemberView, event: PlacementRead) -> Word:
    """Say what the member that holds an attempt's stream tells of it."""
    if view.still or _fell(attempt.index, view.index):
        return Word.LOST
    if not attempt.ring.issubset(event.listed):
        return Word.LOST  # what is left of a ring shares the layers out anew
    return judge_copies(attempt, view)


def judge_copies(attempt: Attempt, view: MemberView) -> Word:
    """Say how the copies of its model stand that stood when an attempt began."""
    placed = view.models.get(attempt.candidate.model)
    if placed is None:
        return Word.LOST
    if not attempt.copies:  # who has no state tells of none
        return Word.VOUCHED if placed.ready else Word.LOST
    told = {one.id: one for one in placed.instances if one.id in attempt.copies}
    ready = {one.id for one in told.values() if one.ready}
    if len(told) < len(attempt.copies) or not attempt.ready_copies <= ready:
        return Word.LOST
    return Word.VOUCHED if any(one.running for one in told.values()) else Word.IDLE


def dies_with(attempt: Attempt, node: Node, cluster: Cluster | None) -> bool:
    """Say whether an attempt at another node of a cluster cannot finish without this one."""
    if cluster is None or attempt.candidate.scope != cluster.key:
        return False
    if attempt.candidate.peer.ring:
        return True
    placed = cluster.told.get(attempt.candidate.model)
    told = () if placed is None else placed.instances
    hosts = [one.hosts for one in told if one.id in attempt.copies]
    return bool(hosts) and all(node.node_id in each for each in hosts)


def is_dead(node: Node) -> bool:
    """Say whether a node is gone for certain, and not only busy."""
    return node.was_up and not node.up and node.why in CERTAIN


def _fell(before: int | None, index: int | None) -> bool:
    """Say whether a member has left the session in which an attempt began."""
    return before is not None and index is not None and index < before
