"""A candidate is made once, and anew as soon as it would be another."""

from msgspec import structs

from exo_supervisor.core.fleet.placed import Instance
from exo_supervisor.core.names import InstanceId, NodeId, RequestId
from tests.core.invariants import check_candidates
from tests.core.story import LOCAL, Story, stand, told

GONE = Instance(InstanceId("i1"), ready=True, hosts=(NodeId("b:1#0"),))
HERE = Instance(InstanceId("i2"), ready=True, hosts=(NodeId("a:1#0"),))
TWO = structs.replace(stand("m"), instances=(GONE, HERE))


def test_what_a_state_tells_of_a_copy_on_a_dead_host_still_counts_as_news() -> None:
    """The copy is of no use to us either way, so that nothing else shows the change."""
    story = Story(LOCAL)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, mates="a:1 b:1")
    story.tells("a:1", TWO, mates="b:1")
    story.down("b:1")
    assert told(story.ask("r")) == ["start a:1 m"]
    loading = structs.replace(GONE, ready=False, why="loading")
    story.tells("a:1", structs.replace(TWO, instances=(loading, HERE)), mates="b:1")
    check_candidates(story.machine.tables)
    story.ask("s")
    attempt = story.machine.dispatch.requests[RequestId("s")].attempt
    assert attempt is not None
    assert attempt.ready_copies == {"i2"}
