"""Two machines that go by one cloned node id: the second must not vanish behind the first.

Exo up to 1.0.67 keeps its id on disk, and a copied image copies it. An equal id at two addresses
is most often one host with two of them; but the state of one process only goes on, whichever
address it is asked by. So once a minute the alias is asked, too: if either has told of more events
than the other knows of later, they are two. One such word may be an election's doing.
"""

from exo_supervisor.core.effects import Announce, say
from exo_supervisor.core.events import PlacementRead
from exo_supervisor.core.fleet.members import MemberView, look
from exo_supervisor.core.fleet.nodes import Node

PROOFS = 2
"""Readings in a row that no single process can have given, which make a twin."""


def compare(alias: Node, holder: Node, event: PlacementRead, now: float) -> tuple[Announce, ...]:
    """Take in what an alias told of its state; say so if it proved to be a machine of its own."""
    last, alias.view = alias.view, look(None, event, now)
    other = holder.view
    if other is None or other.index is None or event.index is None:
        return ()
    behind = event.index < other.index
    ahead = last is not None and _is_later(other, last) and (last.index or 0) > other.index
    alias.proofs = alias.proofs + 1 if behind or ahead else 0
    was, alias.twin = alias.twin, alias.proofs >= PROOFS
    if was or not alias.twin:
        return ()
    return (say("warning", "twin_node_seen", node=alias.address, other=alias.alias_of),)


def _is_later(view: MemberView, than: MemberView) -> bool:
    return view.read_at > than.read_at
