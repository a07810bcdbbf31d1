"""What is heard of nodes and providers reaches the tables, and the log once per change."""

import pytest

from exo_supervisor.core.alarms import STALE
from exo_supervisor.core.effects import ReadPlacement
from exo_supervisor.core.events import (
    CapacityRead,
    CardsRead,
    Event,
    NodesForgotten,
    NodeSighted,
    PlacementFailed,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
    ProviderFailed,
    ProviderListed,
)
from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet_events import MAX_CARDS
from exo_supervisor.core.machine import SWEEP
from exo_supervisor.core.names import Address, ModelId, NodeId, ProviderName
from exo_supervisor.core.outcomes import Fault
from tests.core.story import BOTH, LOCAL, P, Story, X, told

GONE, NOBODY = Address("gone:1"), ProviderName("nobody")


@pytest.mark.parametrize(
    "event",
    [
        ProbeAnswered(node=GONE, generation="C", node_id=None, latency=0.1),
        ProbeFailed(node=GONE, why="timeout"),
        CapacityRead(node=GONE, capacities={}),
        PlacementRead(node=GONE, listed=(), models=()),
        PlacementFailed(node=GONE, why="timeout"),
        ProviderListed(provider=NOBODY, models=()),
        ProviderFailed(provider=NOBODY, why="timeout"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_news_of_the_forgotten_change_nothing(event: Event) -> None:
    story = Story(BOTH)
    story.names()
    assert story.tell(event) == []
    assert story.names() == []
    assert story.machine.tables.registry.nodes == {}


def test_a_person_may_have_the_nodes_forgotten_that_are_not_up() -> None:
    """One that a person named stays, and so does one that answers."""
    story = Story(BOTH, "up:1")
    for node, seeded in (("silent:1", False), ("named:1", True)):
        seen = NodeSighted(node=Address(node), url=f"http://{node}", source="test", seeded=seeded)
        story.tell(seen)
        story.tell(ProbeFailed(node=Address(node), why="timeout"))
    assert told(story.tell(NodesForgotten())) == ["UnwatchNode silent:1"]
    assert sorted(story.machine.tables.registry.nodes) == ["named:1", "up:1"]
    assert story.tell(NodesForgotten()) == []


def test_a_sighting_is_watched_once() -> None:
    story = Story(BOTH)
    sighted = NodeSighted(node=GONE, url="http://gone:1", source="test")
    assert told(story.tell(sighted)) == ["WatchNode gone:1"]
    assert story.tell(sighted) == []
    assert story.names().count("node_sighted") == 1


def test_a_nodes_life_is_told() -> None:
    story = Story(LOCAL, "a:1")
    story.up("a:1", born=1)
    story.read("a:1", "m", index=9)
    story.read("a:1", "m", index=3)
    story.read("a:1")
    story.down("a:1")
    assert [name for name in story.names() if name != "first_look_done"] == [
        "node_sighted", "node_up", "model_ready", "node_restarted", "model_lost",
        "model_ready", "cluster_re_elected", "model_lost", "node_down",
    ]  # fmt: skip


def test_a_node_is_asked_for_its_state_when_it_comes_up_and_until_it_is_known() -> None:
    story = Story(LOCAL)
    assert told(story.up("a:1")) == ["ReadPlacement a:1"]
    assert told(story.up("a:1")) == ["ReadPlacement a:1"]
    story.read("a:1", "m")
    assert story.up("a:1") == []
    for _ in range(2):
        assert told(story.up("a:1", born=1)) == ["ReadPlacement a:1"], "what it told is no more"
    story.read("a:1", "m")
    assert story.up("a:1", born=1) == []


def test_each_clusters_state_is_read_again_on_a_beat_while_somebody_is_up() -> None:
    story = Story(LOCAL, "a:1")
    assert told(story.tick(30.0)) == ["ReadPlacement a:1"] * 3
    story.down("a:1")
    assert story.tick(60.0) == []


def test_a_node_that_was_silent_for_long_is_forgotten_with_all_that_was_its_own() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    story.fail("r", Fault.CONNECT)
    story.ask("s")
    story.fail("s", Fault.BUSY, retry_after=9.0)
    story.down("a:1")
    assert told(story.tick(700.0))[-1] == "UnwatchNode a:1"
    tables = story.machine.tables
    assert (tables.registry.nodes, len(tables.breakers.rows), len(tables.busy.marks)) == ({}, 0, 0)
    assert story.tick(2000.0) == []
    assert len(vars(story.machine)["_alarms"]) == 1, "only the sweep is left"
    story.up("a:1")
    story.read("a:1", "m")
    assert told(story.wait(10.0)) == ["ReadPlacement a:1"], "back on the beat"


def test_breakers_follow_a_cluster_through_a_split_and_a_merge() -> None:
    story = Story(LOCAL)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, "m", mates="a:1 b:1")
    story.force("a:1", "open", "m")
    for node in ("a:1", "b:1"):
        story.read(node, "m")
    assert story.state("b:1", "m") == "open"
    for cluster in ("a:1", "b:1"):
        story.force(cluster, None, "m")
        assert story.state(cluster, "m") == "closed"
    story.read("a:1", "m", mates="b:1")
    story.read("b:1", "m", mates="a:1")
    assert told(story.ask("r", draw=0.9)) == ["start b:1 m"]
    assert [name for name in story.names() if name.startswith("cluster")] == [
        "cluster_split", "cluster_ended",
    ]  # fmt: skip


def test_a_merge_keeps_the_worse_health() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    story.force("b:1", "open", "m")
    story.read("b:1", "m", mates="a:1")
    story.read("a:1", "m", mates="b:1")
    assert [str(key) for key in story.machine.tables.registry.clusters] == ["a:1"]
    assert told(story.ask("r")) == ["refuse 503 no_target"]


def test_cards_have_a_bound() -> None:
    story = Story(LOCAL)
    cards = {ModelId(f"card{n}"): () for n in range(MAX_CARDS + 1)}
    story.tell(CardsRead(node=GONE, cards=cards))
    assert told(story.ask("r", "card0")) == ["refuse 404 model_not_placed"]
    assert told(story.ask("s", f"card{MAX_CARDS}")) == ["refuse 404 model_not_found"]


def test_a_provider_is_told_once_per_change() -> None:
    story = Story(BOTH)
    story.names()
    failed = ProviderFailed(provider=P, why="timeout", detail="no answer")
    listed = ProviderListed(provider=P, models=(X,))
    told_of: list[list[str]] = []
    for event in (failed, failed, listed, listed):
        story.tell(event)
        told_of.append(story.names())
    assert told_of == [["provider_unreached"], [], ["provider_reached"], []]


def test_alarms_of_those_who_left_are_thinned_out() -> None:
    story = Story(LOCAL, "a:1")
    for n in range(10 * STALE):
        story.ask(f"r{n}")
        story.fail(f"r{n}", Fault.BUSY, retry_after=4.0)
        story.leave(f"r{n}")
        story.machine.tables.busy.forget(Address("a:1"))
    assert len(vars(story.machine)["_alarms"]) <= STALE + 4


def test_who_still_waits_is_woken_although_the_alarms_of_others_were_thinned_out() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("waits")
    assert story.fail("waits", Fault.BUSY, retry_after=4.0) == []
    for n in range(2 * STALE):
        story.ask(f"r{n}")
        story.leave(f"r{n}")
    assert len(vars(story.machine)["_alarms"]) <= STALE + 5
    assert told(story.wait(4.0)) == ["start a:1 m"]


def tripped(node: str) -> Story:
    """Tell of a node whose breaker is open, and of another that has its id, too, from now on."""
    story = Story(LOCAL, node)
    for number in range(3):
        story.ask(f"r{number}")
        story.fail(f"r{number}", Fault.CONNECT)
    assert story.state(node) == "open"
    story.up("a:1")
    return story


def test_the_breaker_of_an_address_that_became_an_alias_is_gone() -> None:
    story = tripped("b:1")
    same = ProbeAnswered(node=Address("b:1"), generation="C", node_id=NodeId("a:1#0"), latency=0.1)
    story.tell(same)
    assert story.machine.tables.registry.nodes[Address("b:1")].alias_of == "a:1"
    assert story.machine.tables.breakers.get((Address("b:1"), None)) is None


def test_what_an_operator_forced_at_an_alias_stays() -> None:
    story = tripped("b:1")
    story.force("b:1", "open")
    same = ProbeAnswered(node=Address("b:1"), generation="C", node_id=NodeId("a:1#0"), latency=0.1)
    story.tell(same)
    story.wait(SWEEP)
    assert story.state("b:1") == "open"


def test_the_cluster_that_an_alias_leaves_behind_ends_without_an_heir() -> None:
    story = Story(LOCAL, "a:1")
    again = ProbeAnswered(node=Address("b:1"), generation="C", node_id=NodeId("a:1#0"), latency=0.1)
    story.tell(NodeSighted(node=again.node, url="http://b:1", source="test"))
    story.down("a:1")
    story.wait(1.0)
    story.tell(again)
    story.tell(PlacementRead(node=again.node, listed=(NodeId("a:1#0"),), models=()))
    story.force("b:1", "open", "m")
    story.names()
    story.up("a:1")
    story.up("a:1")
    assert "cluster_ended" in story.names()
    assert told(story.ask("r")) == ["start a:1 m"]
    assert len(story.machine.tables.breakers.rows) == 0


def capacities(story: Story, node: str, ghosts: int = 0, **names: Capacity) -> list[str]:
    story.said.clear()
    found = {NodeId(name.replace("_", ":") + "#0"): one for name, one in names.items()}
    at = Address(node)
    assert story.tell(CapacityRead(node=at, capacities=found, ghosts=ghosts)) == []
    return story.names()


def test_what_machines_bear_is_kept_with_their_nodes() -> None:
    story = Story(LOCAL)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, mates="a:1 b:1")
    story.wait(3.0)
    large, small = Capacity(memory_total=64), Capacity(memory_total=8)
    assert capacities(story, "a:1", a_1=large, b_1=small, elsewhere=large) == []
    nodes = story.machine.tables.registry.nodes
    kept = [(node.capacity, node.capacity_at) for node in nodes.values()]
    assert kept == [(large, story.now), (small, story.now)]
    own = CapacityRead(node=Address("b:1"), capacities={}, own=large)
    story.tell(own)
    assert nodes[Address("b:1")].capacity == large


def test_ghosts_are_named_when_they_grow() -> None:
    story = Story(LOCAL, "a:1")
    told = [capacities(story, "a:1", ghosts) for ghosts in (2, 2, 1, 3)]
    assert told == [["ghost_nodes_seen"], [], [], ["ghost_nodes_seen"]]
    story.up("b:1")
    assert capacities(story, "b:1", 9) == [], "its state was not read yet"


def test_capacities_are_asked_for_at_a_third_of_the_rate() -> None:
    story = Story(LOCAL)
    [first] = story.up("a:1")
    assert isinstance(first, ReadPlacement)
    assert first.capacity
    story.read("a:1", "m")
    asked = [each for each in story.tick(95.0) if isinstance(each, ReadPlacement)]
    assert [each.capacity for each in asked] == [False, False, True] * 3
