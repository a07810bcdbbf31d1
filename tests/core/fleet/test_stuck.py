"""What does not get any further is named, once."""

from exo_supervisor.core.effects import Announce
from exo_supervisor.core.events import NodeSighted, ProbeFailed
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.fleet.stuck import STUCK_MODEL, stuck_models
from exo_supervisor.core.names import Address, NodeId
from tests.core.story import LOCAL, M, Story


def said(story: Story, name: str) -> list[Announce]:
    found = [each for each in story.said if each.name == name]
    story.said.clear()
    return found


def loads(story: Story, progress: str) -> None:
    model = Placed(M, ready=False, why="loading", progress=progress)
    story.tells("a:1", model)


def test_a_model_that_does_not_get_on_is_named_once() -> None:
    story = Story(LOCAL, "a:1")
    loads(story, "1 of 9")
    story.tick(250.0)
    loads(story, "2 of 9")
    for _ in range(5):
        story.wait(60.0)
        loads(story, "2 of 9")
    assert said(story, "model_stuck") == []
    story.wait(60.0)
    [stuck] = said(story, "model_stuck")
    assert stuck.level == "warning"
    facts = {"cluster": "a:1", "model": "m", "why": "loading", "progress": "2 of 9"}
    assert stuck.facts == {**facts, "for": 350.0}
    story.wait(600.0)
    assert said(story, "model_stuck") == [], "only once"
    story.read("a:1", "m")
    assert story.machine.tables.registry.clusters.popitem()[1].condition.pending == {}


def test_a_model_is_named_at_the_very_end_of_its_time() -> None:
    registry = Story(LOCAL, "a:1").machine.tables.registry
    [cluster] = registry.clusters.values()
    cluster.condition.wait({M: Placed(M, ready=False, why="loading")}, 10.0)
    assert not list(stuck_models(registry, 9.9 + STUCK_MODEL))
    [named] = stuck_models(registry, 10.0 + STUCK_MODEL)
    assert (named.name, named.facts["for"]) == ("model_stuck", STUCK_MODEL)


def test_a_node_that_does_not_get_on_is_named_once_a_rung() -> None:
    story = Story(LOCAL)
    at = Address("10.0.0.1:1")
    story.tell(NodeSighted(node=at, url="http://10.0.0.1:1", source="mdns", seeded=True))
    story.tell(ProbeFailed(node=at, why="timeout"))
    story.tick(239.0)
    assert said(story, "node_stuck") == []
    story.tick(700.0)
    [stuck] = said(story, "node_stuck")
    assert stuck.level == "warning"
    facts = {"node": at, "rung": "seen", "sources": ["mdns"], "why": "timeout", "for": 295.0}
    assert stuck.facts == facts
    story.up("10.0.0.1:1")
    story.read("10.0.0.1:1")
    story.wait(300.0)
    [stuck] = said(story, "node_stuck")
    assert (stuck.level, stuck.facts["rung"], stuck.facts["why"]) == ("info", "clustered", None)
    story.read("10.0.0.1:1", "m")
    story.wait(300.0)
    story.read("10.0.0.1:1")
    story.wait(300.0)
    assert len(said(story, "node_stuck")) == 1, "once more after it was ready"


def test_an_own_host_without_an_exo_and_other_addresses_are_not_stuck() -> None:
    story = Story(LOCAL)
    own = Address("127.0.0.1:1")
    story.tell(NodeSighted(node=own, url="http://127.0.0.1:1", source="static", seeded=True))
    story.tell(ProbeFailed(node=own, why="refused"))
    story.up("a:1")
    story.machine.tables.registry.nodes[Address("a:1")].alias_of = Address("b:1")
    story.up("c:1")
    story.read("c:1", "m")
    bridge = Address("172.17.0.1:1")
    story.tell(NodeSighted(node=bridge, url="http://x", source="mdns", claimed=NodeId("c:1#0")))
    story.tell(ProbeFailed(node=bridge, why="timeout"))
    story.wait(600.0)
    assert said(story, "node_stuck") == []
