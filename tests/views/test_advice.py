"""A person is told what keeps the house from serving, and what to do next."""

import pytest
from msgspec import structs

from exo_supervisor.core.events import (
    NodeSighted,
    ProbeFailed,
    ProviderFailed,
    ProviderListed,
    Ticked,
)
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId, NodeId, ProviderName
from exo_supervisor.core.policy import Cloud, Policy
from exo_supervisor.views.advice import MOST, advise, sum_up
from exo_supervisor.views.explain import RECENT
from tests.core.story import BOTH, LOCAL, P, Story, stand

START = 'start Exo here, or set discovery.static = ["http://HOST:52415"]'
ADD = "or add a [[provider]] and set its key"
DEMO = "or watch it work without either: exo-supervisor demo"

OWN = Address("127.0.0.1:52415")


def looked(policy: Policy) -> Machine:
    machine = Machine(policy, 0.0)
    machine.handle(Ticked(), policy.first_look)
    return machine


def test_before_the_first_look_there_is_nothing_to_advise() -> None:
    machine = Machine(Policy(seeds=((Address("n:1"), "http://n:1"),)), 0.0)
    assert sum_up(machine, 0.0) == "still looking at nodes and providers"
    assert advise(machine, 0.0) == []


def test_a_house_with_nothing_is_told_all_its_ways() -> None:
    machine = looked(Policy())
    assert advise(machine, 9.0) == [START, ADD, DEMO]
    assert sum_up(machine, 9.0) == "no Exo node found, no provider is configured"


def test_a_provider_without_a_key_needs_no_second_one() -> None:
    off = looked(Policy(clouds=(Cloud(P, "https://p.example", keys=0, why_off="no key"),)))
    assert advise(off, 9.0) == [START, DEMO]


def test_a_refused_key_comes_first_and_rests_with_the_key() -> None:
    story = Story(BOTH)
    story.machine.tables.clouds.refused_key(P, 0, story.now, 401)
    first = f"{P} refused its key: set a new one and restart"
    assert advise(story.machine, story.now)[0] == first
    assert first not in advise(story.machine, story.now + 301.0)


def test_all_of_several_keys_refused_asks_for_new_ones() -> None:
    story = Story(structs.replace(BOTH, clouds=(Cloud(P, "https://p.example", keys=2),)))
    clouds = story.machine.tables.clouds
    clouds.refused_key(P, 0, story.now, 401)
    assert not any("refused" in line for line in advise(story.machine, story.now))
    clouds.refused_key(P, 1, story.now, 401)
    first = f"{P} refused all its 2 keys: set new ones and restart"
    assert advise(story.machine, story.now)[0] == first


def test_an_empty_account_is_told_in_the_providers_words() -> None:
    story = Story(BOTH)
    story.machine.tables.clouds.refused_key(P, 0, story.now, 402, "Insufficient Balance")
    said = f"{P} serves nothing now: Insufficient Balance"
    assert advise(story.machine, story.now)[0] == said


def test_sums_up_who_serves() -> None:
    assert sum_up(Story(LOCAL, "n:1").machine, 9.0) == "Exo serves"
    assert sum_up(Story(BOTH, "n:1").machine, 9.0) == "Exo serves, cloud stands by"
    assert sum_up(Story(BOTH).machine, 9.0) == "cloud serves, no Exo node found"
    bare = Story(LOCAL)
    bare.up("n:1")
    assert sum_up(bare.machine, 9.0) == "no model is ready, no provider is configured"


@pytest.mark.parametrize(("seeded", "told"), [(True, True), (False, False)])
def test_only_nodes_that_a_person_named_are_worth_a_line_when_down(
    *, seeded: bool, told: bool
) -> None:
    machine = looked(Policy())
    at = Address("n:1")
    machine.handle(NodeSighted(node=at, url="http://n:1", source="t", seeded=seeded), 5.0)
    machine.handle(ProbeFailed(node=at, why="refused"), 6.0)
    assert any(line.startswith("n:1: start Exo there") for line in advise(machine, 9.0)) == told


def test_a_node_without_a_model_is_told_where_to_launch_one() -> None:
    story = Story(LOCAL)
    story.up("n:1")
    story.read("n:1")
    assert "n:1: no model is placed: launch one at http://n:1" in advise(story.machine, 9.0)


def silent(story: Story, node: str, source: str, claimed: str | None = None) -> None:
    who = None if claimed is None else NodeId(claimed)
    at = Address(node)
    story.tell(NodeSighted(node=at, url=f"http://{node}", source=source, claimed=who))
    story.tell(ProbeFailed(node=at, why="timeout"))


def test_what_is_announced_and_stays_silent_is_worth_a_line_in_time() -> None:
    story = Story(LOCAL, "n:1")
    silent(story, "10.0.0.7:1", "mdns")
    silent(story, "10.0.0.8:1", "test")
    silent(story, "172.17.0.1:1", "mdns", claimed="n:1#0")
    story.tick(239.0)
    assert advise(story.machine, story.now) == []
    story.tick(300.0)
    line = "10.0.0.7:1 is only seen: exo-supervisor nodes says why"
    assert advise(story.machine, story.now) == [line]


def test_a_cluster_in_trouble_is_told_how_to_get_out() -> None:
    story = Story(LOCAL, "n:1")
    story.tells("n:1", stand("m", "i1@n:1"), stand("o", "i2@n:1"), index=500)
    story.tells("n:1", index=-1)
    story.wait(9.0)
    lost = (
        "n:1: re-elected, 2 models lost 9 s ago: exo-supervisor models place NAME, or keep = true"
    )
    assert advise(story.machine, story.now)[0] == lost
    story.tells("n:1", stand("m", "i3@n:1", why="runner_failed"), index=9)
    story.wait(360.0)
    assert advise(story.machine, story.now)[:2] == [
        (
            "n:1: re-elected, 1 model lost 6 min ago: "
            "exo-supervisor models place NAME, or keep = true"
        ),
        "m at n:1: its runner failed: exo-supervisor models remove m, then place",
    ]
    story.tells("n:1", stand("m", "i3@n:1", why="runner_failed"), index=9)
    frozen = "n:1: Exo's state stands still: restart Exo on all its nodes at once"
    assert advise(story.machine, story.now)[0] == frozen
    story.down("n:1")
    assert frozen not in advise(story.machine, story.now), "its nodes are down, which comes first"


def test_an_election_is_forgotten_in_time() -> None:
    story = Story(LOCAL, "n:1")
    story.tells("n:1", stand("m", "i1@n:1"), index=500)
    story.tells("n:1", index=-1)
    assert "re-elected" in advise(story.machine, story.now)[0]
    assert "re-elected" not in "".join(advise(story.machine, story.now + RECENT))


def test_two_generations_are_told_apart_once_a_model_is_placed() -> None:
    story = Story(LOCAL)
    story.up("b:1", generation="B")
    story.up("c:1", generation="C")
    for node in ("b:1", "c:1"):
        story.read(node)
    apart = (
        "generation B (1.0.x) and generation C (0.3.x) never form one cluster: "
        "run one on all hosts to share a model"
    )
    assert apart not in advise(story.machine, story.now)
    story.read("c:1", "m")
    assert apart in advise(story.machine, story.now)
    story.down("b:1")
    assert apart not in advise(story.machine, story.now)


def test_advice_is_short_whatever_the_house() -> None:
    story = Story(LOCAL)
    for number in range(20):
        story.up(f"n:{number}")
        story.read(f"n:{number}")
    assert len(advise(story.machine, story.now)) == MOST


def test_a_ready_house_needs_no_advice() -> None:
    story = Story(structs.replace(BOTH), "n:1")
    story.tell(ProviderListed(provider=ProviderName("p"), models=(ModelId("x"),)))
    assert advise(story.machine, story.now) == []


def test_an_exo_that_is_not_on_this_host_is_missed_only_where_nothing_serves() -> None:
    story = Story(LOCAL, "n:1")
    story.tell(NodeSighted(node=OWN, url=f"http://{OWN}", source="static", seeded=True))
    story.tell(ProbeFailed(node=OWN, why="refused"))
    assert advise(story.machine, story.now) == []
    story.down("n:1")
    lines = advise(story.machine, story.now)
    assert lines[0].startswith("n:1: start Exo there"), "one that was up keeps its advice"
    assert not any(line.startswith(OWN) for line in lines), "a seed that nobody set"


def test_one_that_was_up_on_this_host_is_missed_at_its_own_address() -> None:
    story = Story(LOCAL, OWN)
    story.down(OWN)
    assert any(line.startswith(f"{OWN}: start Exo there") for line in advise(story.machine, 9.0))


@pytest.mark.parametrize(
    ("policy", "event", "said"),
    [
        pytest.param(BOTH, None, "cloud serves, no Exo node found", id="reached"),
        pytest.param(
            BOTH, "unreached", "no Exo node found, no provider was reached", id="unreached"
        ),
        pytest.param(BOTH, "key", "no Exo node found, every provider refused its key", id="key"),
        pytest.param(BOTH, "held", "no Exo node found, every provider is held open", id="held"),
        pytest.param(
            structs.replace(BOTH, clouds=(Cloud(P, "https://p", keys=0),)),
            None, "no Exo node found, no provider has a key", id="no key",
        ),
        pytest.param(
            structs.replace(BOTH, order=("exo",)),
            None, "no Exo node found, routing.order has no cloud", id="order",
        ),
        pytest.param(
            structs.replace(BOTH, order=("cloud",)),
            None, "cloud serves, routing.order has no exo", id="cloud only",
        ),
        pytest.param(
            structs.replace(BOTH, local_only=True),
            None, "no Exo node found, nothing may leave the house", id="private",
        ),
    ],
)  # fmt: skip
def test_a_cloud_stands_by_only_where_it_was_reached_and_may_serve(
    policy: Policy, event: str | None, said: str
) -> None:
    story = Story(policy)
    clouds = story.machine.tables.clouds
    for name in clouds.providers:
        if event == "unreached":
            story.tell(ProviderFailed(provider=name, why="timeout"))
        elif event == "key":
            clouds.refused_key(name, 0, story.now, 401)
        elif event == "held":
            story.force(name, "open")
    assert sum_up(story.machine, story.now) == said
    assert story.machine.tables.can_serve(story.now) == said.startswith("cloud serves")


def test_a_fallen_house_is_not_one_that_was_never_found() -> None:
    story = Story(LOCAL, "n:1")
    story.down("n:1")
    assert sum_up(story.machine, 9.0) == "no Exo node answers, no provider is configured"
    story.up("m:1")
    assert sum_up(story.machine, 9.0) == "no model is ready, no provider is configured"


def test_no_cloud_stands_by_beside_an_exo_that_serves() -> None:
    story = Story(BOTH, "n:1")
    for name in story.machine.tables.clouds.providers:
        story.tell(ProviderFailed(provider=name, why="timeout"))
    assert sum_up(story.machine, story.now) == "Exo serves, no cloud stands by"
