"""Until every seed was looked at once, requests wait: the first must not go to the cloud."""

import pytest
from msgspec import structs

from exo_supervisor.core.events import (
    BreakerForced,
    NodeSighted,
    PlacementFailed,
    ProbeFailed,
    ProviderFailed,
    ProviderListed,
    RequestArrived,
    SourceHeard,
)
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, RequestId, Side
from exo_supervisor.core.policy import Policy
from tests.core.story import BOTH, P, Q, Story, X, told

SEED = Address("a:1")
SEEDED = structs.replace(BOTH, seeds=((SEED, "http://a:1"),))


class Young(Story):
    """A story that begins before the first look, when the seed was merely sighted."""

    def __init__(self, policy: Policy = SEEDED) -> None:
        super().__init__(Policy())
        self.now, self.machine = 0.0, Machine(policy, 0.0)
        self.tell(NodeSighted(node=SEED, url="http://a:1", source="static", seeded=True))

    def hear_clouds(self) -> list[str]:
        self.tell(ProviderListed(provider=P, models=(X,)))
        return told(self.tell(ProviderFailed(provider=Q, why="timeout")))


def test_requests_wait_and_then_go_to_exo() -> None:
    story = Young()
    assert story.ask("r") == []
    assert story.waits("r")
    assert not story.machine.looked()
    story.hear_clouds()
    assert told(story.up("a:1")) == ["ReadPlacement a:1"]
    assert story.waits("r"), "the node answered but did not tell what it runs"
    assert told(story.read("a:1", "m")) == ["start a:1 m"]
    assert story.machine.looked()
    assert "first_look_done" in story.names()


def test_a_seed_that_no_source_has_told_of_yet_is_waited_for() -> None:
    late = Address("b:1")
    story = Young(structs.replace(BOTH, seeds=(*SEEDED.seeds, (late, "http://b:1"))))
    story.hear_clouds()
    story.up("a:1")
    story.read("a:1", "m")
    assert not story.machine.looked()
    story.tell(NodeSighted(node=late, url="http://b:1", source="static", seeded=True))
    story.miss("b:1")
    assert story.machine.looked()


@pytest.mark.parametrize("name", ["m", "nobody"])
def test_a_name_that_nobody_has_told_yet_waits_too(name: str) -> None:
    story = Young()
    assert story.ask("r", name) == []
    story.hear_clouds()
    story.up("a:1")
    last = story.read("a:1", "m")
    assert told(last) == (["start a:1 m"] if name == "m" else ["refuse 404 model_not_found"])


LAN = structs.replace(SEEDED, awaited=frozenset({"lan"}))


def test_a_request_that_a_seed_can_answer_does_not_wait_for_the_lan() -> None:
    story = Young(LAN)
    story.up("a:1")
    assert story.ask("r") == []
    assert told(story.read("a:1", "m")) == ["start a:1 m"]
    assert story.ask("s", "x") == [], "whom only a cloud could serve waits on"
    assert not story.machine.looked()
    assert told(story.ask("t")) == ["start a:1 m"]
    story.hear_clouds()
    assert told(story.tell(SourceHeard(source="lan"))) == ["start p x"]


@pytest.mark.parametrize("route", ["cloud", None])
def test_what_the_seed_cannot_take_waits_for_the_whole_look(route: Side | None) -> None:
    """One who fails it, or that is asked for elsewhere, must not send it to the cloud so early."""
    story = Young(LAN)
    story.hear_clouds()
    story.up("a:1")
    story.read("a:1", "m")
    if route is None:
        story.tell(BreakerForced(target="a:1", model=None, forced="open"))
    assert story.ask("r", route=route) == []
    assert story.waits("r")


def test_a_provider_whose_models_are_configured_holds_nobody_up() -> None:
    clouds = tuple(structs.replace(each, models=(X,)) for each in BOTH.clouds)
    story = Young(structs.replace(SEEDED, clouds=clouds))
    story.ask("r")
    assert told(story.miss("a:1")) == ["start p x /exo_down"]
    assert story.machine.looked()
    assert not story.machine.tables.can_serve(story.now), "its models are no proof that it answers"


def test_a_seed_that_is_silent_was_looked_at() -> None:
    story = Young()
    story.ask("r")
    story.tell(ProbeFailed(node=SEED, why="refused"))
    assert story.hear_clouds() == ["start p x /exo_down"]
    assert "node_silent" in story.names()


def test_a_seed_that_keeps_its_state_to_itself_was_looked_at() -> None:
    story = Young()
    story.ask("r")
    story.hear_clouds()
    story.up("a:1")
    assert told(story.tell(PlacementFailed(node=SEED, why="timeout"))) == [
        "start p x /model_not_ready"
    ]
    assert story.tell(PlacementFailed(node=Address("stranger:1"), why="timeout")) == []


def test_the_look_ends_by_itself() -> None:
    story = Young()
    story.ask("r")
    assert story.tick(3.9) == []
    assert told(story.tick(4.0)) == ["start p x /exo_down"]


def test_a_deadline_passes_while_the_look_goes_on() -> None:
    story = Young()
    story.ask("r", deadline=1.0)
    story.up("a:1")
    assert story.waits("r")
    assert told(story.tick(1.0)) == ["refuse 504 deadline"]
    assert story.idle()


def test_a_client_leaves_while_the_look_goes_on() -> None:
    story = Young()
    story.ask("r")
    assert story.leave("r") == []
    assert story.idle()
    assert story.tick(10.0) == []
    assert story.machine.dispatch.last_failed is None


def test_readiness_to_serve_is_exo_or_a_provider_that_was_reached() -> None:
    young = Young()
    assert not young.machine.tables.can_serve(0.0), "a key alone proves nothing"
    young.tell(ProviderListed(provider=P, models=()))
    assert young.machine.tables.can_serve(0.0)
    story = Young(structs.replace(SEEDED, clouds=()))
    assert not story.machine.tables.can_serve(0.0)
    story.up("a:1")
    story.read("a:1", "m")
    assert story.machine.tables.can_serve(0.0)


def test_a_late_alarm_looks_at_nobody_who_left() -> None:
    """An alarm outlives its request, and a request's older alarm rings too early."""
    story = Young()
    event = RequestArrived(request=RequestId("r"), model="chat", deadline=2.0, draw=0.0)
    story.tell(event)
    assert story.machine.dispatch.due(RequestId("r"), 1.0) == []
    story.leave("r")
    assert story.machine.dispatch.due(RequestId("r"), 2.0) == []


AWAITED = structs.replace(SEEDED, awaited=frozenset({"lan", "last_known"}))
NEAR = Address("b:1")


def hear(story: Young, *sources: str) -> list[str]:
    return [word for each in sources for word in told(story.tell(SourceHeard(source=each)))]


def sight(story: Young, source: str) -> None:
    story.tell(NodeSighted(node=NEAR, url="http://b:1", source=source))


@pytest.mark.parametrize("source", ["last_known", "lan"])
def test_a_node_that_a_source_tells_of_at_the_start_is_looked_at_as_a_seed_is(source: str) -> None:
    """The provider was fast and the seed is down, and still the request goes to Exo."""
    story = Young(AWAITED)
    story.ask("r")
    story.hear_clouds()
    story.tell(ProbeFailed(node=SEED, why="refused"))
    assert story.waits("r")
    sight(story, source)
    assert hear(story, "last_known", "lan", "nobody's") == []
    story.up("b:1")
    assert story.waits("r"), "it answered but did not tell what it runs"
    assert told(story.read("b:1", "m")) == ["start b:1 m"]


def test_a_remembered_node_that_is_gone_holds_nobody_up_for_longer_than_a_look() -> None:
    story = Young(AWAITED)
    story.ask("r")
    story.hear_clouds()
    story.tell(ProbeFailed(node=SEED, why="refused"))
    sight(story, "last_known")
    hear(story, "lan", "last_known")
    assert story.waits("r")
    assert told(story.tell(ProbeFailed(node=NEAR, why="timeout"))) == ["start p x /exo_down"]


def test_with_nothing_told_the_look_is_over_when_every_source_was_heard() -> None:
    story = Young(AWAITED)
    story.ask("r")
    story.hear_clouds()
    story.tell(ProbeFailed(node=SEED, why="refused"))
    assert hear(story, "lan") == []
    assert hear(story, "last_known") == ["start p x /exo_down"]


def test_a_source_that_never_tells_is_waited_for_as_long_as_a_look_may_take() -> None:
    story = Young(AWAITED)
    story.ask("r")
    story.hear_clouds()
    story.tell(ProbeFailed(node=SEED, why="refused"))
    assert story.tick(3.9) == []
    assert told(story.tick(4.1)) == ["start p x /exo_down"]
