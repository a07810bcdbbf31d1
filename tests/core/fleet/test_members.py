"""What a member tells is that member's: a laggard is no candidate, an election is seen at once."""

from collections.abc import Iterable

from exo_supervisor.core.effects import Effect, ReadPlacement
from exo_supervisor.core.events import PlacementRead
from exo_supervisor.core.fleet.members import CONFIRM, FOREIGN, LAG, STILL
from exo_supervisor.core.fleet.nodes import Cluster
from exo_supervisor.core.names import Address, ClusterKey, NodeId
from tests.core.story import BOTH, M, Story, stand, told

ON_A = stand("m", "i1@a:1")
ODD = (
    "cluster_frozen", "cluster_thawed", "cluster_re_elected", "model_lost", "node_fell_behind",
    "node_caught_up",
)  # fmt: skip


def house(*nodes: str, index: int = 3000) -> Story:
    """Tell of a cluster whose members all know of one model, which runs on the first."""
    story = Story(BOTH)
    for node in nodes:
        story.up(node)
        story.tells(node, ON_A, mates=" ".join(nodes), index=index)
    story.names()
    return story


def odd(story: Story) -> list[str]:
    return [name for name in story.names() if name in ODD]


def asked(effects: Iterable[Effect]) -> list[str]:
    return [effect.node for effect in effects if isinstance(effect, ReadPlacement)]


def ready(story: Story) -> list[Address]:
    return story.machine.tables.registry.where_ready(M)


def cluster_of(story: Story, node: str = "a:1") -> Cluster:
    registry = story.machine.tables.registry
    return registry.clusters[registry.nodes[Address(node)].cluster or ClusterKey("")]


def test_a_member_that_joins_and_replays_is_no_election_and_loses_no_model() -> None:
    story = house("a:1", "b:1")
    story.up("c:1")
    assert asked(story.tells("c:1", ON_A, mates="a:1 b:1", index=-1)) == ["a:1", "b:1"]
    assert ready(story) == ["a:1", "b:1"], "it is in no cluster before they list it, too"
    assert asked(story.tells("a:1", ON_A, mates="b:1 c:1", index=3000)) == ["c:1"]
    story.tells("c:1", mates="a:1 b:1", index=0)
    assert cluster_of(story, "c:1") is cluster_of(story)
    assert (ready(story), odd(story)) == (["a:1", "b:1"], [])
    story.tells("c:1", stand("m", "i0@z:1"), mates="a:1 b:1", index=1200)
    assert ready(story) == ["a:1", "b:1"], "an instance long gone, seen on the way"
    assert cluster_of(story).index == 3000
    story.tells("c:1", ON_A, mates="a:1 b:1", index=3005)
    assert (ready(story), odd(story)) == (["a:1", "b:1", "c:1"], ["node_caught_up"])


def test_a_member_that_restarted_is_none_either() -> None:
    story = house("a:1", "b:1")
    story.up("b:1", born=1)
    story.tells("b:1", mates="a:1", index=-1)
    assert (ready(story), odd(story)) == (["a:1"], [])


def test_a_member_a_few_events_behind_serves_unless_it_lacks_an_instance() -> None:
    story = house("a:1", "b:1")
    story.tells("a:1", ON_A, mates="b:1", index=3000 + LAG + 2)
    story.tells("b:1", ON_A, mates="a:1", index=3002)
    assert (ready(story), odd(story)) == (["a:1", "b:1"], [])
    story.wait(1.26)
    story.tells("b:1", mates="a:1", index=3003)
    assert ready(story) == ["a:1"]
    [said] = [said for said in story.said if said.name == "node_fell_behind"]
    assert said.facts["behind"] == LAG - 1


def test_one_that_stands_still_is_told_for_how_long_it_does() -> None:
    story = house("a:1", "b:1")
    story.wait(STILL + 0.26)
    story.tells("b:1", ON_A, mates="a:1", index=3000)
    [said] = [said for said in story.said if said.name == "node_fell_behind"]
    assert (said.facts["behind"], said.facts["still_for"]) == (0, 8.3)


def test_a_model_is_not_ready_where_one_of_its_hosts_lags() -> None:
    story = house("a:1", "b:1")
    both = stand("m", "i1@a:1,b:1")
    story.tells("a:1", both, mates="b:1", index=3500)
    assert ready(story) == ["a:1", "b:1"]
    story.tells("b:1", both, mates="a:1", index=3010)
    [(_, placed)] = story.machine.tables.registry.where_placed(M)
    assert (placed.why, ready(story)) == ("host_lags", [])
    assert told(story.ask("r")) == ["start p x /model_not_ready"]
    story.tells("b:1", both, mates="a:1", index=3501)
    assert ready(story) == ["a:1", "b:1"]


def test_a_member_that_stands_still_is_named_once_and_does_not_flap() -> None:
    story = house("a:1", "b:1")
    for more in range(1, 60):
        story.wait(8.0)
        story.tells("b:1", ON_A, mates="a:1", index=3000)
        story.tells("a:1", ON_A, mates="b:1", index=3000 + more)
        assert ready(story) == ["a:1"]
    assert odd(story) == ["node_fell_behind"]
    story.tells("b:1", ON_A, mates="a:1", index=3060)
    assert (ready(story), odd(story)) == (["a:1", "b:1"], ["node_caught_up"])


def test_an_election_is_seen_within_one_reading() -> None:
    story = house("a:1", "b:1", "c:1")
    assert asked(story.tells("b:1", mates="a:1 c:1", index=-1)) == ["a:1", "c:1"]
    assert (ready(story), odd(story)) == (["a:1", "c:1"], [])
    story.tells("a:1", mates="b:1 c:1", index=2)
    assert (ready(story), odd(story)) == ([], ["cluster_re_elected", "model_lost"])
    story.tells("c:1", mates="a:1 b:1", index=3)
    assert (cluster_of(story).index, odd(story)) == (3, [])


def test_who_told_of_the_new_session_first_does_not_lag_in_it() -> None:
    story = house("a:1", "b:1", "c:1")
    story.tells("b:1", ON_A, mates="a:1 c:1", index=-1)
    story.tells("a:1", ON_A, mates="b:1 c:1", index=2)
    assert odd(story) == ["cluster_re_elected"]
    views = [node.view for node in story.machine.tables.registry.nodes.values()]
    assert [view and view.behind for view in views] == [0, 0, None], "the third has yet to tell"


def test_an_election_is_seen_even_if_the_others_do_not_answer() -> None:
    story = house("a:1", "b:1")
    story.tells("b:1", mates="a:1", index=-1)
    story.wait(CONFIRM)
    story.tells("b:1", mates="a:1", index=9)
    assert odd(story) == ["cluster_re_elected", "model_lost"]


def test_an_election_is_seen_even_if_who_tells_next_stands_still() -> None:
    story = house("a:1", "b:1")
    story.tells("b:1", mates="a:1", index=-1)
    story.wait(CONFIRM)
    story.tells("a:1", ON_A, mates="b:1", index=3000)
    assert odd(story) == ["cluster_re_elected", "model_lost"]
    assert cluster_of(story).index == -1
    story.tells("a:1", mates="b:1", index=20)
    assert odd(story) == []


def test_who_tells_for_the_first_time_after_a_fall_tells_of_the_new_session() -> None:
    story = house("a:1", "b:1")
    story.tells("b:1", mates="a:1", index=-1)
    story.wait(CONFIRM)
    story.up("c:1")
    new = stand("m", "i9@c:1")
    assert asked(story.tells("c:1", new, mates="a:1 b:1", index=7)) == ["a:1", "b:1"]
    story.tells("b:1", new, mates="a:1 c:1", index=8)
    assert (odd(story), cluster_of(story).index) == (["cluster_re_elected"], 8)


def test_a_member_that_comes_back_to_the_session_of_the_others_elected_nobody() -> None:
    story = house("a:1", "b:1")
    story.tells("b:1", mates="a:1", index=-1)
    story.tells("a:1", ON_A, mates="b:1", index=3010)
    for index in (500, 2000):
        story.wait(10.0)
        story.tells("b:1", mates="a:1", index=index)
        assert ready(story) == ["a:1"]
    story.tells("b:1", ON_A, mates="a:1", index=3011)
    assert (ready(story), odd(story)) == (["a:1", "b:1"], ["node_fell_behind", "node_caught_up"])


def test_an_election_that_reached_the_others_a_moment_later_is_one() -> None:
    story = house("a:1", "b:1")
    story.wait(1.0)
    story.tells("b:1", mates="a:1", index=-1)
    story.wait(0.1)
    story.tells("a:1", ON_A, mates="b:1", index=3004)
    assert odd(story) == []
    story.wait(5.0)
    story.tells("a:1", mates="b:1", index=3)
    assert odd(story) == ["cluster_re_elected", "model_lost"]


def test_a_merge_is_no_election_for_those_who_keep_their_session() -> None:
    story = house("a:1", "b:1")
    story.up("c:1")
    story.tells("c:1", stand("n", "i7@c:1"), index=90_000)
    story.tells("c:1", stand("n", "i7@c:1"), mates="a:1", index=90_001)
    story.names()
    effects = story.tells("a:1", ON_A, mates="b:1 c:1", index=3001)
    assert cluster_of(story, "c:1") is cluster_of(story)
    assert asked(effects)[-1] == "c:1", "whose session goes on is to be known at once"
    story.tells("c:1", stand("n", "i7@c:1"), mates="a:1 b:1", index=90_002)
    assert ready(story) == ["a:1", "b:1"], "its own session still, which is nobody else's"
    story.tells("c:1", mates="a:1 b:1", index=-1)
    assert "cluster_re_elected" not in story.names()
    story.tells("c:1", ON_A, mates="a:1 b:1", index=3002)
    assert ready(story) == ["a:1", "b:1", "c:1"]


def test_one_that_leaves_its_own_session_for_anothers_is_no_election() -> None:
    """It lists them before they are known to list it."""
    story = house("a:1", "b:1")
    story.up("c:1")
    story.tells("c:1", index=7)
    story.names()
    assert asked(story.tells("c:1", mates="a:1 b:1", index=-1)) == ["a:1", "b:1"]
    assert odd(story) == []
    story.tells("a:1", ON_A, mates="b:1 c:1", index=3001)
    story.wait(1.0)
    story.tells("c:1", mates="a:1 b:1", index=900)
    story.tells("c:1", ON_A, mates="a:1 b:1", index=3002)
    assert (ready(story), "cluster_re_elected" in story.names()) == (["a:1", "b:1", "c:1"], False)


def test_one_that_lists_others_who_never_list_it_was_elected_after_all() -> None:
    story = house("a:1")
    story.up("c:1")
    story.tells("c:1", stand("n", "i7@c:1"), index=90)
    story.names()
    story.tells("c:1", mates="a:1", index=-1)
    story.wait(CONFIRM)
    assert "cluster_re_elected" not in story.names()
    story.tells("c:1", mates="a:1", index=3)
    assert "cluster_re_elected" in story.names()


def test_a_merge_in_which_the_newcomers_session_goes_on_is_an_election() -> None:
    story = house("a:1", "b:1")
    story.up("c:1")
    story.tells("c:1", stand("n", "i7@c:1"), index=90_000)
    story.tells("c:1", stand("n", "i7@c:1"), mates="a:1", index=90_001)
    story.tells("a:1", ON_A, mates="b:1 c:1", index=3001)
    story.names()
    story.tells("a:1", mates="b:1 c:1", index=-1)
    story.tells("b:1", mates="a:1 c:1", index=-1)
    assert "cluster_re_elected" in story.names()
    assert list(cluster_of(story).models) == ["n"], "the truth of the session that goes on"


def test_a_member_whose_session_never_ended_is_no_stranger_for_ever() -> None:
    story = house("a:1", "b:1")
    story.up("c:1")
    story.tells("c:1", index=90_000)
    story.tells("c:1", mates="a:1 b:1", index=90_001)
    story.tells("a:1", ON_A, mates="b:1 c:1", index=3001)
    story.tells("c:1", mates="a:1 b:1", index=90_002)
    assert ready(story) == ["a:1", "b:1"]
    story.wait(FOREIGN)
    story.tells("c:1", mates="a:1 b:1", index=90_040)
    assert cluster_of(story).index == 90_040


def test_what_is_on_disk_is_remembered_while_nobody_asks() -> None:
    story = house("a:1")
    listed = (NodeId("a:1#0"),)
    told = PlacementRead(node=Address("a:1"), listed=listed, models=(), downloaded=(M,))
    story.tell(told)
    story.tells("a:1", index=3005)
    assert cluster_of(story).downloaded == {M}


def test_what_is_on_disk_is_known_of_both_halves_of_a_cluster_that_split() -> None:
    story = house("a:1", "b:1")
    listed = (NodeId("a:1#0"), NodeId("b:1#0"))
    story.tell(PlacementRead(node=Address("a:1"), listed=listed, models=(), downloaded=(M,)))
    story.tells("a:1")
    story.tells("b:1")
    clusters = story.machine.tables.registry.clusters
    assert [(each.members, each.downloaded) for each in clusters.values()] == [
        (("a:1",), {M}), (("b:1",), {M}),
    ]  # fmt: skip


def test_who_went_and_came_back_in_the_same_session_is_no_stranger_for_long() -> None:
    story = house("a:1", "b:1")
    story.down("b:1")
    story.wait(FOREIGN)
    story.up("b:1")
    story.up("b:1")
    story.tells("b:1", ON_A, mates="a:1", index=3050)
    assert (ready(story), odd(story)) == (["a:1", "b:1"], [])
