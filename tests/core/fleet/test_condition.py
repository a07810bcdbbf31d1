"""A state that stands still, an election, runner churn: each is seen, said once, and taken back."""

import pytest

from exo_supervisor.core.effects import Announce, ReadPlacement
from exo_supervisor.core.fleet.condition import CALM
from exo_supervisor.core.names import Address, ModelId
from tests.core.story import BOTH, LOCAL, M, Story, stand, told

ONE = stand("m", "i1@a:1")
ODD = ("cluster_frozen", "cluster_thawed", "cluster_re_elected", "runner_churn_seen")


def well(index: int | None = 100, *nodes: str) -> Story:
    story = Story(BOTH)
    mates = " ".join(nodes or ("a:1",))
    for node in nodes or ("a:1",):
        story.up(node)
        story.tells(node, ONE, mates=mates, index=index)
    story.names()
    return story


def odd(story: Story) -> list[Announce]:
    said = [each for each in story.said if each.name in ODD]
    story.said.clear()
    return said


def named(story: Story) -> list[str]:
    return [each.name for each in odd(story)]


def standing(story: Story) -> tuple[bool, str]:
    [(_, placed)] = story.machine.tables.registry.where_placed(M)
    return placed.ready, placed.why


def test_a_state_that_stands_still_is_frozen_until_it_moves() -> None:
    story = well()
    story.wait(7.9)
    story.tells("a:1", ONE, index=100)
    assert (standing(story), named(story)) == ((True, ""), [])
    story.wait(2.1)
    story.tells("a:1", ONE, index=100)
    assert standing(story) == (False, "state_frozen")
    assert told(story.ask("r")) == ["start p x /model_not_ready"]
    [frozen] = odd(story)
    assert (frozen.level, frozen.name) == ("warning", "cluster_frozen")
    assert frozen.facts == {"cluster": "a:1", "index": 100, "for": 10.0}
    story.wait(10.0)
    story.tells("a:1", ONE, index=100)
    assert named(story) == [], "only once"
    story.tells("a:1", ONE, index=101)
    assert (standing(story), named(story)) == ((True, ""), ["cluster_thawed"])


def test_members_that_lag_behind_each_other_are_not_frozen() -> None:
    story = well(100, "a:1", "b:1")
    for index, behind in ((120, 117), (140, 138), (160, 159)):
        story.tells("a:1", ONE, mates="b:1", index=index)
        story.wait(10.0)
        story.tells("b:1", ONE, mates="a:1", index=behind)
    assert (standing(story), named(story)) == ((True, ""), [])


def test_a_whole_cluster_is_frozen_wherever_its_members_stand() -> None:
    story = well(100, "a:1", "b:1", "c:1")
    story.tells("b:1", ONE, mates="a:1 c:1", index=105)
    story.wait(10.0)
    effects = story.tells("b:1", ONE, mates="a:1 c:1", index=105)
    assert named(story) == [], "it may be stuck alone"
    asked = [effect.node for effect in effects if isinstance(effect, ReadPlacement)]
    assert asked == ["a:1", "c:1"], "the others say at once whether it is"
    story.tells("a:1", ONE, mates="b:1 c:1", index=100)
    story.tells("c:1", ONE, mates="a:1 b:1", index=100)
    assert named(story) == ["cluster_frozen"]


@pytest.mark.parametrize("index", [None, 100])
def test_without_an_index_or_an_instance_nothing_is_frozen(index: int | None) -> None:
    story = well(index)
    models = (ONE,) if index is None else ()
    for _ in range(3):
        story.wait(10.0)
        story.tells("a:1", *models, index=index)
    assert named(story) == []


def test_a_model_whose_instances_are_not_told_is_frozen_too() -> None:
    story = Story(LOCAL, "a:1")
    for _ in range(2):
        story.wait(10.0)
        story.read("a:1", "m", index=5)
    assert standing(story) == (False, "state_frozen")


def test_an_election_says_how_many_models_it_cost() -> None:
    story = well(500)
    story.tells("a:1", ONE, stand("n", "i2@a:1"), index=501)
    story.tells("a:1", index=-1)
    [elected] = odd(story)
    assert (elected.level, elected.name) == ("warning", "cluster_re_elected")
    assert elected.facts == {
        "cluster": "a:1", "models_lost": 2, "index_before": 501, "index_after": -1,
    }  # fmt: skip
    condition = story.machine.tables.registry.clusters[
        next(iter(story.machine.tables.registry.clusters))
    ].condition
    assert (condition.elected_at, condition.lost) == (story.now, {M, ModelId("n")})
    story.tells("a:1", index=12)
    assert named(story) == []
    story.tells("a:1", stand("m", "i3@a:1"), index=15)
    assert condition.lost == {ModelId("n")}
    assert (standing(story), named(story)) == ((True, ""), [])


@pytest.mark.parametrize(
    ("models", "index", "elected"),
    [
        pytest.param((), 99, True, id="all instances vanished, the index is lower"),
        pytest.param((stand("m", "i9@a:1"),), 99, True, id="all were replaced"),
        pytest.param((), 101, False, id="deleted in the same session"),
        pytest.param((ONE,), 99, True, id="within a session no index falls"),
        pytest.param((ONE,), 20, True, id="a new session has the same id"),
        pytest.param((), None, False, id="no index any more"),
    ],
)
def test_an_election_is_told_by_index_and_instances(
    models: tuple[object, ...], index: int | None, *, elected: bool
) -> None:
    story = well(100)
    story.tells("a:1", *models, index=index)  # pyright: ignore[reportArgumentType]
    assert named(story) == (["cluster_re_elected"] if elected else [])


def test_an_election_ends_a_freeze() -> None:
    story = well(100)
    story.wait(10.0)
    story.tells("a:1", ONE, index=100)
    story.tells("a:1", stand("m", "i2@a:1"), index=3)
    assert named(story) == ["cluster_frozen", "cluster_re_elected", "cluster_thawed"]
    assert standing(story) == (True, "")


def test_a_lone_node_that_started_again_elected_nobody() -> None:
    story = well(500)
    story.up("a:1", born=1)
    story.tells("a:1", index=3)
    assert named(story) == []


def churned() -> Story:
    story = well()
    for orphans in ("o1 o2", "o1 o2 o3"):
        story.wait(10.0)
        story.tells("a:1", ONE, index=int(story.now) * 9, orphans=orphans)
    return story


def test_runners_that_die_and_are_born_without_end_are_a_churn() -> None:
    story = churned()
    assert standing(story) == (False, "runner_churn")
    [churn] = odd(story)
    assert (churn.level, churn.name) == ("warning", "runner_churn_seen")
    assert churn.facts == {"cluster": "a:1", "orphans": 3, "runners": 1}
    story.tells("a:1", ONE, index=998, orphans="o4 o5 o6")
    assert (standing(story), named(story)) == ((False, "runner_churn"), [])
    story.tells("a:1", ONE, index=999, orphans="o6")
    assert standing(story) == (True, ""), "they outnumber its own no more"


def test_another_instance_is_not_to_blame_for_a_churn() -> None:
    story = churned()
    story.tells("a:1", stand("m", "i2@a:1"), index=999, orphans="o1 o2 o3")
    assert standing(story) == (True, "")


def test_a_churn_without_new_orphans_ends() -> None:
    story = churned()
    story.wait(CALM)
    story.tells("a:1", ONE, index=9999, orphans="o1 o2 o3")
    assert standing(story) == (True, "")


def test_orphans_that_linger_harm_nobody() -> None:
    story = Story(LOCAL)
    story.up("a:1")
    for _ in range(9):
        story.tells("a:1", ONE, orphans="o1 o2 o3")
        story.wait(10.0)
    story.tells("a:1", ONE, orphans="o1 o2 o3 o4 o5")
    assert standing(story) == (True, ""), "an instance was taken away"
    assert named(story) == []


def test_a_churn_in_an_empty_house_is_nobodys() -> None:
    story = Story(LOCAL)
    story.up("a:1")
    for orphans in ("o1", "o2", "o3"):
        story.tells("a:1", orphans=orphans, runners=0)
    assert named(story) == []


def test_what_is_known_of_a_cluster_follows_a_split() -> None:
    story = well(100, "a:1", "b:1")
    story.wait(10.0)
    story.tells("a:1", ONE, mates="b:1", index=100)
    story.tells("b:1", ONE, mates="a:1", index=100)
    story.tells("a:1", ONE, index=100)
    story.tells("b:1", ONE, index=100)
    clusters = story.machine.tables.registry.clusters
    assert [cluster.condition.frozen for cluster in clusters.values()] == [True, True]
    story.tells("b:1", ONE, index=105)
    assert clusters[next(iter(clusters))].condition.frozen
    assert len({id(cluster.condition) for cluster in clusters.values()}) == 2
    assert story.machine.tables.registry.nodes[Address("a:1")].rung == "placed"
