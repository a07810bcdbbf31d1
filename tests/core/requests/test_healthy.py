"""The short way of a plain request decides what the long one would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from exo_supervisor.core.balance.choose import SAMPLE
from exo_supervisor.core.effects import Effect, StartAttempt
from exo_supervisor.core.events import ProviderVetted
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import BudgetRules, Cloud, Limits, ModelRule, Policy
from exo_supervisor.core.requests.healthy import start_at_once
from tests.core.story import BOTH, CHAT, LOCAL, M, P, Story, X, told

NODES = ("a:1", "b:1", "c:1")
MANY = tuple(f"n{number}:1" for number in range(SAMPLE + 4))
HARMLESS = ("a field that everybody takes",)
"""A demand that excludes nobody, and that the short way does not know."""
IN_TURN = Policy(models=(CHAT,), balance="round_robin")
CLOUD = Policy(
    clouds=(Cloud(P, "https://p.example"),), models=(ModelRule("chat", cloud=((P, X),)),)
)

Deed = tuple[str, int, float]
deeds = st.tuples(
    st.sampled_from(["ask", "ask", "ask", "succeed", "busy", "reset", "wait", "gone", "unplaced"]),
    st.integers(0, 30),
    st.floats(0, 1, exclude_max=True),
)


class Twins:
    """Two houses that are told the same, but for a demand that keeps one from the short way."""

    def __init__(self, policy: Policy, nodes: tuple[str, ...]) -> None:
        nodes = nodes if any(rule.exo for rule in policy.models) else ()
        self.short, self.long = Story(policy, *nodes), Story(policy, *nodes)
        self.asked = 0

    def both(self, deed: Deed) -> None:
        """Do the same in both houses, and compare what came of it."""
        short, long = (self.do(story, deed) for story in (self.short, self.long))
        self.asked += deed[0] == "ask"
        assert short == long
        assert self.short.machine.tables.turn == self.long.machine.tables.turn

    def do(self, story: Story, deed: Deed) -> list[Effect]:
        """Do one thing in one house."""
        what, which, draw = deed
        names = sorted(story.machine.dispatch.requests)
        request = names[which % len(names)] if names else RequestId("nobody")
        out = story.machine.dispatch.requests.get(request)
        match what:
            case "ask":
                demands = HARMLESS if story is self.long else ()
                return story.ask(
                    f"r{self.asked}",
                    draw=draw,
                    demands=demands,
                    session=which % 4,
                    mid_turn=which % 2 == 0,
                )
            case "wait":
                return story.wait(20.0 * draw)
            case "gone":
                return story.leave(request)
            case _ if out is None or out.attempt is None:
                return []
            case "succeed":
                return story.succeed(request)
            case _:
                faults = {"busy": Fault.BUSY, "reset": Fault.RESET, "unplaced": Fault.NOT_PLACED}
                return story.fail(request, faults[what])


@given(
    st.sampled_from([BOTH, LOCAL, IN_TURN, CLOUD]),
    st.sampled_from([NODES, MANY]),
    st.lists(deeds, max_size=40),
)
def test_both_ways_lead_to_the_same_place(
    policy: Policy, nodes: tuple[str, ...], history: list[Deed]
) -> None:
    twins = Twins(policy, nodes)
    for deed in history:
        twins.both(deed)


def test_a_plain_request_takes_the_short_way() -> None:
    for policy, nodes in ((BOTH, ("a:1",)), (LOCAL, MANY), (CLOUD, ())):
        story = Story(policy, *nodes)
        [start] = story.ask("r")
        assert isinstance(start, StartAttempt)
        state = story.machine.dispatch.requests[start.request]
        assert start_at_once(state.event, state.route, story.machine.tables, story.now) is not None


def test_a_budget_is_not_asked_for_a_provider_of_the_house() -> None:
    housed = structs.replace(CLOUD.clouds[0], local=True)
    story = Story(structs.replace(CLOUD, clouds=(housed,), budgets=BudgetRules(Limits(day=1))))
    story.tell(ProviderVetted(provider=P, housed=None))
    assert told(story.ask("r")) == ["start p x"]
    state = story.machine.dispatch.requests[RequestId("r")]
    assert start_at_once(state.event, state.route, story.machine.tables, story.now) is not None


def test_whoever_has_no_seat_left_goes_the_long_way() -> None:
    story = Story(LOCAL, "a:1")
    for number in range(8):
        assert told(story.ask(f"r{number}")) == [f"start a:1 {M}"]
    assert story.ask("waits") == []


@pytest.mark.parametrize("mid_turn", [0, 1])
def test_a_conversation_goes_home_both_ways(mid_turn: int) -> None:
    twins = Twins(IN_TURN, NODES)
    for _ in range(3):
        twins.both(("ask", mid_turn + 1, 0.0))
        twins.both(("succeed", 0, 0.0))
    assert len({home.target for home in twins.short.machine.tables.affinity.homes.values()}) == 1


def test_a_conversation_goes_home_both_ways_from_a_sample_that_leaves_its_home_out() -> None:
    twins = Twins(LOCAL, MANY)
    for draw in (0.0, 0.3):
        twins.both(("ask", 1, draw))
        attempts = [state.attempt for state in twins.short.machine.dispatch.requests.values()]
        assert [each.candidate.target for each in attempts if each is not None] == [MANY[0]]
        twins.both(("succeed", 0, 0.0))
