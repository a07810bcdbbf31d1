"""Each rung says in a sentence why a node stands there, and what leads on."""

from typing import get_args

import pytest

from exo_supervisor.core.events import NodeSighted, PlacementFailed, ProbeFailed
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.core.network import Why
from exo_supervisor.views import models
from exo_supervisor.views.explain import RECENT, advise_on, explain, not_ready, reason_of, span
from tests.core.story import LOCAL, M, Story, stand

N = Address("n:1")


def why(story: Story, node: str = N) -> str:
    registry = story.machine.tables.registry
    return explain(registry.nodes[Address(node)], registry, story.now)


def what(story: Story, node: str = N) -> str | None:
    registry = story.machine.tables.registry
    return advise_on(registry.nodes[Address(node)], registry)


def test_a_node_without_a_model_is_told_where_to_launch_one() -> None:
    story = Story(LOCAL)
    story.up("n:1")
    assert why(story) == "its state was not read yet"
    story.read("n:1")
    assert why(story) == "no model is placed"
    assert what(story) == "no model is placed: launch one at http://n:1"
    story.read("n:1", loading=M)
    assert why(story) == "no placed model is ready"
    assert what(story) is None


def test_an_old_node_without_models_is_told_apart() -> None:
    story = Story(LOCAL)
    story.up("n:1", generation="A")
    assert why(story) == "its state was not read yet"
    story.read("n:1")
    assert why(story) == "generation A lists no model that it supports"


def test_a_node_whose_state_cannot_be_read_says_why_until_it_is() -> None:
    story = Story(LOCAL)
    story.up("n:1")
    story.tell(PlacementFailed(node=N, why="timeout"))
    assert why(story) == "its state cannot be read: nothing answers there"
    story.read("n:1")
    assert why(story) == "no model is placed"


@pytest.mark.parametrize("fault", get_args(Why))
def test_every_failure_of_a_look_is_a_sentence_of_its_own(fault: Why) -> None:
    others = {reason_of(other) for other in get_args(Why) if other != fault}
    assert reason_of(fault) not in others
    assert " " in reason_of(fault)


def test_what_answered_instead_is_named_once() -> None:
    assert reason_of("not_exo", "nginx") == "what answers there is no Exo (nginx)"
    assert reason_of("timeout", "nothing answers") == "nothing answers there"
    assert reason_of("timeout", "") == "nothing answers there"


def seen(source: str, fault: Why | None, *, seeded: bool = False, claimed: str = "") -> Story:
    story = Story(LOCAL)
    who = NodeId(claimed) if claimed else None
    story.up("c:1")
    at, url = Address("192.168.1.7:52415"), "http://192.168.1.7:52415"
    sighted = NodeSighted(node=at, url=url, source=source, seeded=seeded, claimed=who)
    story.tell(sighted)
    if fault is not None:
        story.tell(ProbeFailed(node=at, why=fault, detail="it said so"))
    return story


OTHER = "if its Exo runs with another --api-port, add http://192.168.1.7:PORT to discovery.static"


@pytest.mark.parametrize(
    ("source", "fault", "told", "advice"),
    [
        ("mdns", None, "not looked at yet", None),
        (
            "mdns", "timeout", "mDNS announces it, but TCP 52415 does not answer",
            f"allow TCP 52415 in its firewall; {OTHER}",
        ),
        (
            "broadcast", "refused", "its broadcasts are heard, but nothing listens on TCP 52415",
            f"start Exo there; {OTHER}",
        ),
        (
            "multicast", "not_exo",
            "its multicasts are heard, but what answers there is no Exo (it said so)", OTHER,
        ),
        (
            "crawl", "no_route", "its cluster names it, but no route leads there (it said so)",
            "check the network, or take it out of discovery.static",
        ),
        (
            "test", "refused", "the host is up, but nothing listens there (it said so)",
            "start Exo there, or put the port of its --api-port into discovery.static",
        ),
    ],
)  # fmt: skip
def test_a_silent_node_says_who_announces_it_and_which_port_is_silent(
    source: str, fault: Why | None, told: str, advice: str | None
) -> None:
    story = seen(source, fault)
    assert why(story, "192.168.1.7:52415") == told
    assert what(story, "192.168.1.7:52415") == advice


def test_a_node_that_a_person_named_is_announced_by_nobody() -> None:
    story = seen("mdns", "timeout", seeded=True)
    assert why(story, "192.168.1.7:52415") == "nothing answers there (it said so)"
    assert "discovery.static" not in (what(story, "192.168.1.7:52415") or "")


def test_a_silent_address_of_a_node_that_answers_elsewhere_is_no_riddle() -> None:
    story = seen("mdns", "timeout", claimed="c:1#0")
    assert why(story, "192.168.1.7:52415") == "another address of c:1, which answers"
    assert what(story, "192.168.1.7:52415") is None


def test_a_node_that_started_again_says_so_for_a_while() -> None:
    story = Story(LOCAL, N)
    story.up(N, born=1)
    story.wait(20.0)
    assert why(story) == "restarted 20 s ago: no model is placed"
    story.wait(RECENT)
    assert why(story) == "no model is placed"


def test_a_node_that_lost_its_models_says_to_whom() -> None:
    story = Story(LOCAL, N)
    story.tells(N, stand("m", "i1@n:1"), stand("o", "i2@n:1"), index=500)
    story.tells(N, index=-1)
    story.wait(8.0)
    assert why(story) == "re-elected, 2 models lost 8 s ago"
    assert (what(story) or "").startswith("no model is placed: launch one")
    story.wait(RECENT)
    assert why(story) == "no model is placed"


def test_of_several_models_the_one_that_gets_on_is_told() -> None:
    story = Story(LOCAL, N)
    failed = stand("a", "i1@n:1", why="runner_failed")
    story.tells(N, failed)
    assert why(story) == "no placed model is ready: a: its runner failed"
    loading = Placed(M, ready=False, why="loading", progress="3 of 9 layers loaded")
    story.tells(N, failed, loading)
    told = "no placed model is ready: m: loading, 3 of 9 layers loaded, and 1 more"
    assert why(story) == told


def test_words_for_models_and_times() -> None:
    assert not_ready("host_down") == "a host of it does not answer"
    assert not_ready("warming_up") == "warming up"
    assert [span(each) for each in (0.4, 59.9, 60, 7200, 90000)] == [
        "0 s", "59 s", "1 min", "2 h", "1 d",
    ]  # fmt: skip


def test_a_member_that_lags_says_by_how_much_and_is_not_ready() -> None:
    story = Story(LOCAL)
    for node in ("n:1", "o:1"):
        story.up(node)
        story.tells(node, stand(M, "i@o:1"), mates="n:1 o:1", index=900)
    story.tells("o:1", stand(M, "i@o:1"), mates="n:1", index=5000)
    story.tells("n:1", mates="o:1", index=901)
    node = story.machine.tables.registry.nodes[N]
    assert (node.rung, why(story)) == ("placed", "lags by 4099 events behind its cluster")
    story.wait(10.0)
    story.tells("n:1", stand(M, "i@o:1"), mates="o:1", index=5000)
    story.wait(10.0)
    story.tells("n:1", stand(M, "i@o:1"), mates="o:1", index=5000)
    assert why(story) == "its state stands still"
    where = models.models(story.machine, story.now, str)[0].where
    assert [(place.target, place.ready, place.why) for place in where] == [
        ("n:1", False, "its state stands still"), ("o:1", True, ""),
    ]  # fmt: skip


def test_a_member_that_just_came_from_another_cluster_says_so() -> None:
    story = Story(LOCAL)
    for node, index in (("n:1", 90_000), ("o:1", 100)):
        story.up(node)
        story.tells(node, stand(M, f"i-{index}@{node}"), index=index)
    story.tells("n:1", stand(M, "i-90000@n:1"), mates="o:1", index=90_001)
    story.tells("o:1", stand(M, "i-100@o:1"), mates="n:1", index=101)
    assert why(story, "o:1") == "it has not joined its cluster's state yet"
