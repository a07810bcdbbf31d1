"""A person is told what keeps the house from serving, and what to do next."""

from typing import get_args

import pytest
from msgspec import structs

from exo_supervisor.core.events import (
    NodeSighted,
    PlacementFailed,
    ProbeFailed,
    ProviderListed,
    Ticked,
    Why,
)
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId, ProviderName
from exo_supervisor.core.policy import Cloud, Policy
from exo_supervisor.edge.advice import MOST, advise, advise_on, explain, reason_of, sum_up
from tests.core.story import BOTH, LOCAL, M, P, Story

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
    assert sum_up(machine, 0.0) == "looking at the nodes for the first time"
    assert advise(machine, 0.0) == []


def test_a_house_with_nothing_is_told_all_its_ways() -> None:
    machine = looked(Policy())
    assert advise(machine, 9.0) == [START, ADD, DEMO]
    assert sum_up(machine, 9.0) == "no Exo node found, no provider has a key"


def test_a_provider_without_a_key_needs_no_second_one() -> None:
    off = looked(Policy(clouds=(Cloud(P, "https://p.example", keyed=False, why_off="no key"),)))
    assert advise(off, 9.0) == [START, DEMO]


def test_a_refused_key_comes_first_and_rests_with_the_key() -> None:
    story = Story(BOTH)
    story.machine.tables.clouds.refused_key(P, story.now)
    first = f"{P} refused its key: set a new one and restart"
    assert advise(story.machine, story.now)[0] == first
    assert first not in advise(story.machine, story.now + 301.0)


def test_sums_up_who_serves() -> None:
    assert sum_up(Story(LOCAL, "n:1").machine, 9.0) == "Exo serves"
    assert sum_up(Story(BOTH, "n:1").machine, 9.0) == "Exo serves, cloud stands by"
    assert sum_up(Story(BOTH).machine, 9.0) == "cloud serves, no Exo model is ready"
    bare = Story(LOCAL)
    bare.up("n:1")
    assert sum_up(bare.machine, 9.0) == "no model is ready, no provider has a key"


def test_a_node_without_a_model_is_told_where_to_launch_one() -> None:
    story = Story(LOCAL)
    story.up("n:1")
    assert (
        explain(story.machine.tables.registry.nodes[Address("n:1")]) == "its state was not read yet"
    )
    story.read("n:1")
    [node] = story.machine.tables.registry.nodes.values()
    assert explain(node) == "no model is placed"
    launch = "no model is placed: launch one at http://n:1"
    assert advise_on(node) == launch
    assert f"n:1: {launch}" in advise(story.machine, 9.0)
    story.read("n:1", loading=M)
    assert explain(node) == "no placed model is ready"
    assert advise_on(node) is None


def test_an_old_node_without_models_is_told_apart() -> None:
    story = Story(LOCAL)
    story.up("n:1", generation="A")
    [node] = story.machine.tables.registry.nodes.values()
    assert explain(node) == "its state was not read yet"
    story.read("n:1")
    assert explain(node) == "generation A lists no model that it supports"


def test_a_node_whose_state_cannot_be_read_says_why_until_it_is() -> None:
    story = Story(LOCAL)
    story.up("n:1")
    [node] = story.machine.tables.registry.nodes.values()
    story.tell(PlacementFailed(node=node.address, why="timeout"))
    assert explain(node) == "its state cannot be read: nothing answers there"
    story.read("n:1")
    assert explain(node) == "no model is placed"


@pytest.mark.parametrize("why", get_args(Why))
def test_every_failure_of_a_look_is_a_sentence_of_its_own(why: Why) -> None:
    others = {reason_of(other) for other in get_args(Why) if other != why}
    assert reason_of(why) not in others
    assert " " in reason_of(why)


def test_what_answered_instead_is_named_once() -> None:
    assert reason_of("not_exo", "nginx") == "what answers there is no Exo (nginx)"
    assert reason_of("timeout", "nothing answers") == "nothing answers there"
    assert reason_of("timeout", "") == "nothing answers there"


@pytest.mark.parametrize(("seeded", "told"), [(True, True), (False, False)])
def test_only_nodes_that_a_person_named_are_worth_a_line_when_down(
    *, seeded: bool, told: bool
) -> None:
    machine = looked(Policy())
    at = Address("n:1")
    machine.handle(NodeSighted(node=at, url="http://n:1", source="t", seeded=seeded), 5.0)
    node = machine.tables.registry.nodes[at]
    assert explain(node) == "not looked at yet"
    machine.handle(ProbeFailed(node=at, why="refused"), 6.0)
    assert explain(node) == "the host is up, but nothing listens there"
    assert any(line.startswith("n:1: start Exo there") for line in advise(machine, 9.0)) == told
    assert (advise_on(node) or "").startswith("start Exo there")


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
    assert any(line.startswith(OWN) for line in advise(story.machine, story.now))
