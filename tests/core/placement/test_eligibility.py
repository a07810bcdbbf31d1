"""A cluster takes a placement when it has settled, and while somebody in it answers."""

from exo_supervisor.core.events import NodeSighted
from exo_supervisor.core.fleet.nodes import Cluster
from exo_supervisor.core.names import Address, ClusterKey
from exo_supervisor.core.placement.eligibility import GONE, RESTLESS, Eligibility
from exo_supervisor.core.policy import WAITS
from tests.core.story import LOCAL, Story


def watched(*nodes: str) -> tuple[Story, Eligibility]:
    """Begin at 5 s with nodes that each are a cluster, and look once."""
    story = Story(LOCAL, *nodes)
    eligibility = Eligibility(story.machine.tables.registry)
    assert eligibility.changed(story.now) == bool(nodes)
    return story, eligibility


def cluster(story: Story, key: str = "a:1") -> Cluster:
    return story.machine.tables.registry.clusters[ClusterKey(key)]


def test_a_new_cluster_is_firm_after_a_while() -> None:
    story, eligibility = watched("a:1")
    assert not eligibility.changed(6.0)
    assert eligibility.settled_at(6.0) == 5.0 + WAITS.restarted, (
        "our former self may have placed it"
    )
    assert not eligibility.settled(cluster(story), 5.0 + WAITS.restarted - 0.1)
    assert eligibility.settled(cluster(story), 5.0 + WAITS.restarted)
    assert eligibility.settled_at(5.0 + WAITS.restarted) is None


def test_a_cluster_that_nobody_looked_at_yet_is_not_firm() -> None:
    story, eligibility = watched()
    story.up("a:1")
    story.read("a:1")
    assert not eligibility.settled(cluster(story), 1_000.0)


def test_an_election_alone_is_a_change_and_begins_the_wait_anew() -> None:
    story, eligibility = watched("a:1")
    story.read("a:1", index=1_000)
    assert not eligibility.changed(19.0)
    story.read("a:1", index=1)
    assert eligibility.changed(20.0)
    assert not eligibility.changed(21.0)
    assert not eligibility.settled(cluster(story), 20.0 + WAITS.settle - 0.1)
    assert eligibility.settled(cluster(story), 20.0 + WAITS.settle)


def test_a_change_of_any_grouping_unsettles_all() -> None:
    story, eligibility = watched("a:1", "b:1", "c:1")
    assert eligibility.settled(cluster(story), 5.0 + WAITS.restarted)
    for node in ("a:1", "b:1"):
        story.read(node, mates="a:1 b:1")
    assert eligibility.changed(30.0)
    assert not eligibility.changed(31.0)
    for key in ("a:1", "c:1"):
        assert not eligibility.settled(cluster(story, key), 30.0 + WAITS.settle - 0.1)
        assert eligibility.settled(cluster(story, key), 30.0 + WAITS.settle)
    assert eligibility.settled_at(31.0) == 30.0 + WAITS.settle


def test_a_house_that_never_rests_is_waited_for_a_minute() -> None:
    story, eligibility = watched("a:1")
    for beat in range(1, 20):
        story.now = 5.0 + 9.0 * beat
        story.up(f"n{beat}:1")
        story.read(f"n{beat}:1")
        assert eligibility.changed(story.now)
        assert eligibility.settled(cluster(story), story.now) == (9.0 * beat >= RESTLESS)
        assert not eligibility.settled(cluster(story, f"n{beat}:1"), story.now), (
            "this one itself is new"
        )


def test_nothing_is_placed_while_a_member_shows_another_session() -> None:
    story, eligibility = watched()
    for node, index in (("a:1", 90_000), ("b:1", 100)):
        story.up(node)
        story.read(node, index=index)
    story.read("b:1", mates="a:1", index=101)
    story.read("a:1", mates="b:1", index=90_001)
    assert eligibility.changed(story.now)
    assert not eligibility.settled(cluster(story), 1_000.0)
    story.read("b:1", mates="a:1", index=-1)
    assert eligibility.settled(cluster(story), 1_000.0)


def test_what_lags_is_not_asked_where_another_can_be() -> None:
    story, eligibility = watched()
    for node, index in (("a:1", 100), ("b:1", 9_000), ("a:1", 101)):
        story.up(node)
        story.read(node, mates="a:1 b:1", index=index)
    assert [node.address for _, node in eligibility.candidates()] == ["b:1"]


def test_the_tables_of_settling_leave_with_their_clusters() -> None:
    story, eligibility = watched("a:1", "b:1")
    for node in ("a:1", "b:1"):
        story.read(node, mates="a:1 b:1")
    eligibility.changed(30.0)
    assert set(vars(eligibility)["_settled_at"]) == set(vars(eligibility)["_elected"]) == {"a:1"}


def test_the_next_to_settle_is_told_first() -> None:
    story, eligibility = watched("a:1")
    story.now = 7.0
    story.up("b:1")
    story.read("b:1")
    assert eligibility.changed(7.0)
    assert eligibility.settled_at(7.0) == 5.0 + WAITS.restarted
    for index in (1_000, 1):
        story.read("a:1", index=index)
    assert eligibility.changed(30.0)
    assert eligibility.settled_at(30.0) == 30.0 + WAITS.settle


def test_a_cluster_that_left_and_came_back_must_settle_again() -> None:
    story, eligibility = watched("a:1")
    story.machine.tables.registry.forget(Address("a:1"), 50.0)
    assert eligibility.changed(50.0)
    story.tell(NodeSighted(node=Address("a:1"), url="http://a:1", source="test"))
    story.up("a:1")
    story.read("a:1")
    assert eligibility.changed(60.0)
    assert not eligibility.settled(cluster(story), 60.0 + WAITS.settle - 0.1)


def test_a_member_that_is_another_process_has_left_its_cluster() -> None:
    story, eligibility = watched("a:1", "b:1")
    for node in ("a:1", "b:1"):
        story.read(node, mates="a:1 b:1")
    assert eligibility.changed(30.0)
    story.up("b:1", born=1)
    assert cluster(story).members == ("a:1",)
    assert eligibility.changed(31.0)


def test_only_what_answers_and_knows_placements_is_open() -> None:
    story, eligibility = watched("a:1", "b:1")
    story.up("c:1", generation="A")
    story.read("c:1")
    story.down("a:1")
    assert [(where.key, node.address) for where, node in eligibility.candidates()] == [
        ("b:1", "b:1")
    ]


def test_a_cluster_lives_while_any_member_answers_or_did_a_moment_ago() -> None:
    story, eligibility = watched("a:1", "b:1")
    for node in ("a:1", "b:1"):
        story.read(node, mates="a:1 b:1")
    story.down("a:1")
    assert eligibility.alive(cluster(story), 1_000.0), "the other one answers"
    story.down("b:1")
    heard = max(node.heard for node in story.machine.tables.registry.nodes.values())
    assert eligibility.alive(cluster(story), heard + GONE - 0.1)
    assert not eligibility.alive(cluster(story), heard + GONE)
