"""Where a source says who a node is, only that one is taken in; a stranger is somebody else."""

from exo_supervisor.core.effects import Effect
from exo_supervisor.core.events import NodeSighted, ProbeAnswered
from exo_supervisor.core.names import Address, NodeId
from tests.core.story import Story, told

A = Address("a:1")


class Announced(Story):
    """A story of one node that was only announced."""

    def announce(self, claimed: str | None) -> list[Effect]:
        who = None if claimed is None else NodeId(claimed)
        return self.tell(NodeSighted(node=A, url="http://a:1", source="mdns", claimed=who))

    def answer(self, node_id: str) -> list[str]:
        name = NodeId(node_id)
        event = ProbeAnswered(node=A, generation="B", node_id=name, latency=0.1)
        return told(self.tell(event))

    def stands(self) -> tuple[str, str | None, bool]:
        node = self.machine.tables.registry.nodes[A]
        return node.rung, node.why, node.up


def test_who_answers_as_announced_is_taken_in() -> None:
    story = Announced()
    assert told(story.announce("x")) == ["WatchNode a:1"]
    assert story.answer("x") == ["ReadPlacement a:1"]
    assert story.stands() == ("identified", None, True)


def test_somebody_else_than_announced_is_no_exo_of_ours() -> None:
    """IPFS announces itself by the same name, and other hosts their own Docker bridges."""
    story = Announced()
    story.announce("x")
    assert story.answer("y") == []
    assert story.stands() == ("reachable", "not_exo", False)
    assert "announced" in story.machine.tables.registry.nodes[A].detail
    assert story.names()[-1] == "node_silent"


def test_a_later_announcement_or_a_source_that_claims_nothing_clears_it_up() -> None:
    for later in ("y", None):
        story = Announced()
        story.announce("x")
        story.answer("y")
        story.announce(later)
        assert story.answer("y") == ["ReadPlacement a:1"]
        assert story.stands() == ("identified", None, True)


def test_a_restart_is_believed_before_it_is_announced() -> None:
    story = Announced()
    story.announce("x")
    story.answer("x")
    assert story.answer("y") == ["ReadPlacement a:1"]
    assert "node_restarted" in story.names()
