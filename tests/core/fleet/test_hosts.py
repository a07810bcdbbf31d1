"""A shard's host that our own probes know to be gone takes its instances away, and gives back."""

from msgspec import structs

from exo_supervisor.core.events import NodeSighted, ProbeAnswered
from exo_supervisor.core.fleet.hosts import MAX_GONE, Hosts
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.names import Address, ClusterKey, InstanceId, ModelId, NodeId
from tests.core.invariants import check_index
from tests.core.story import BOTH, LOCAL, M, Story, stand, told

TWO = stand("m", "i1@a:1,b:1")


def pair(*models: Placed) -> Story:
    """Two nodes that are one cluster, with models that are told by the first."""
    story = Story(BOTH)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, mates="a:1 b:1")
    story.tells("a:1", *models, mates="b:1")
    story.names()
    return story


def standing(story: Story, model: str = "m") -> tuple[bool, str]:
    check_index(story.machine.tables.registry)
    [(_, placed)] = story.machine.tables.registry.where_placed(ModelId(model))
    return placed.ready, placed.why


def test_a_host_that_is_down_takes_a_sharded_instance_away_until_it_is_back() -> None:
    story = pair(TWO, stand("n", "i2@a:1"))
    story.down("b:1")
    assert standing(story) == (False, "host_down")
    assert standing(story, "n") == (True, "")
    assert story.names() == ["node_down", "model_lost"]
    assert told(story.ask("r")) == ["start p x /model_not_ready"]
    story.tells("a:1", TWO, stand("n", "i2@a:1"), mates="b:1")
    assert standing(story) == (False, "host_down"), "Exo's state lags behind"
    story.up("b:1")
    assert standing(story) == (False, "host_down"), "it is up at its second answer"
    story.up("b:1")
    assert standing(story) == (True, "")
    assert [name for name in story.names() if name.startswith("model")] == ["model_ready"]


def test_a_host_that_started_again_is_gone_by_its_old_id_for_good() -> None:
    story = pair(TWO)
    story.up("b:1", born=1)
    assert standing(story) == (False, "host_down")
    story.up("b:1", born=1)
    assert standing(story) == (False, "host_down")
    story.tells("a:1", stand("m", "i2@a:1"))
    assert standing(story) == (True, "")


def test_another_instance_serves_when_one_has_lost_its_host() -> None:
    story = pair(stand("m", "i1@b:1", "i2@a:1"))
    story.down("b:1")
    assert standing(story) == (True, "")
    story.down("a:1")
    [(_, placed)] = story.machine.tables.registry.where_placed(M)
    assert [one.why for one in placed.instances] == ["host_down", "host_down"]


def test_of_what_is_left_the_one_that_gets_on_is_shown() -> None:
    loading = Instance(
        InstanceId("i2"), ready=False, why="loading", progress="3 of 4 layers loaded"
    )
    both = structs.replace(TWO, instances=(*TWO.instances, loading))
    story = pair(both)
    story.down("b:1")
    [(_, placed)] = story.machine.tables.registry.where_placed(M)
    assert (placed.why, placed.progress) == ("loading", "3 of 4 layers loaded")


def test_a_host_that_still_answers_at_another_address_is_not_gone() -> None:
    story = pair(TWO)
    again = ProbeAnswered(node=Address("c:1"), generation="C", node_id=NodeId("b:1#0"), latency=0.1)
    story.tell(NodeSighted(node=again.node, url="http://c:1", source="test"))
    story.tell(again)
    story.down("b:1")
    assert standing(story) == (True, "")
    story.down("c:1")
    assert standing(story) == (False, "host_down")


def test_a_host_that_was_never_seen_is_not_known_to_be_down() -> None:
    story = Story(LOCAL, "a:1")
    story.tells("a:1", stand("m", "i1@a:1,elsewhere:1"))
    assert standing(story) == (True, "")


def test_a_state_that_is_read_after_its_host_went_down_is_judged_alike() -> None:
    story = pair()
    story.down("b:1")
    story.tells("a:1", TWO, mates="b:1")
    assert standing(story) == (False, "host_down")


def test_what_stands_on_a_host_follows_a_split() -> None:
    story = pair(TWO)
    story.read("b:1")
    story.tells("a:1", TWO)
    assert len(story.machine.tables.registry.clusters) == 2
    story.tells("b:1", TWO)
    story.down("b:1")
    placed = list(story.machine.tables.registry.where_placed(M))
    assert [each.why for _, each in placed] == ["host_down", "host_down"]
    check_index(story.machine.tables.registry)


def test_a_host_that_is_forgotten_stays_gone() -> None:
    story = pair(TWO)
    story.down("b:1")
    story.tick(700.0)
    story.tells("a:1", TWO, mates="b:1")
    assert standing(story) == (False, "host_down")


def test_ids_have_a_bound_and_what_stands_nowhere_is_dropped() -> None:
    hosts, at = Hosts(), Address("a:1")
    assert not hosts.left(NodeId("unknown"), at)
    for n in range(MAX_GONE + 1):
        hosts.answered(NodeId(f"n{n}"), at)
        assert hosts.left(NodeId(f"n{n}"), at)
    assert not hosts.is_gone(NodeId("n0")), "the oldest made room"
    assert hosts.is_gone(NodeId("n1"))
    assert hosts.answered(NodeId("n1"), at)
    assert not hosts.left(NodeId("n1"), Address("b:1")), "it never answered there"
    key, models = ClusterKey("c"), {ModelId("m"): TWO}
    hosts.stand(key, {}, models)
    assert hosts.on(NodeId("a:1#0")) == [(key, M)]
    hosts.stand(key, models, {})
    assert hosts.on(NodeId("a:1#0")) == []
    assert vars(hosts)["_stands"] == {}
