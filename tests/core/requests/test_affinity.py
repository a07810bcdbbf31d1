"""A conversation stays where its prompt is cached, and never at the cost of an answer."""

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st

from exo_supervisor.core.effects import Effect, StartAttempt
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from exo_supervisor.core.requests.affinity import KEPT, MAX_CONVERSATIONS, Affinity
from exo_supervisor.core.requests.candidate import make_candidate
from tests.core.story import BOTH, CHAT, M, P, Story, X, told

IN_TURN = Policy(models=(CHAT,), balance="round_robin")
"""Without affinity each request goes to the next node."""
ONE, TWO = 7, 8
NODES = ("a:1", "b:1", "c:1")
SEATS = 8


def served(story: Story, request: str, session: int = ONE, *, mid_turn: bool = False) -> str:
    """Let a request of a conversation be served, and tell by whom."""
    where = target(story.ask(request, session=session, mid_turn=mid_turn))
    story.succeed(request)
    return where


def target(effects: list[Effect]) -> str:
    """Tell where a request went."""
    [start] = [each for each in effects if isinstance(each, StartAttempt)]
    return start.target


def crowd(story: Story, home: str, many: int, session: int = TWO) -> None:
    """Put so many of another conversation's requests to work at a node that is its home."""
    for number in range(many):
        assert target(story.ask(f"busy{number}", session=session, mid_turn=True)) == home


def test_a_conversation_stays_where_it_was_served() -> None:
    story = Story(IN_TURN, *NODES)
    first = served(story, "r0")
    assert {served(story, f"r{turn}") for turn in range(1, 7)} == {first}
    assert {target(story.ask(f"x{turn}")) for turn in range(3)} == set(NODES)


def test_two_conversations_have_each_a_home_of_its_own() -> None:
    story = Story(IN_TURN, *NODES)
    homes = [served(story, "r0", ONE), served(story, "s0", TWO)]
    assert homes[0] != homes[1]
    assert [served(story, "r1", ONE), served(story, "s1", TWO)] == homes


def test_a_conversation_that_got_no_content_has_no_home() -> None:
    story = Story(IN_TURN, *NODES)
    story.ask("r", session=ONE)
    story.leave("r")
    assert not story.machine.tables.affinity.homes


def test_one_name_is_one_home() -> None:
    """The small model of a coding agent does not take the large one's home away."""
    small = ModelRule("small", exo=(X,))
    story = Story(Policy(models=(CHAT, small), balance="round_robin"), "a:1", "b:1")
    story.read("c:1", X)
    story.up("c:1")
    story.read("c:1", X)
    first = served(story, "r0")
    story.ask("s0", "small", session=ONE)
    story.succeed("s0")
    assert [served(story, f"r{turn}") for turn in range(1, 4)] == [first] * 3


@pytest.mark.parametrize("mid_turn", [False, True])
def test_where_its_home_has_no_seat_it_goes_elsewhere_at_once(*, mid_turn: bool) -> None:
    story = Story(IN_TURN, "a:1", "b:1")
    homes = {ONE: served(story, "r0"), TWO: served(story, "s0", TWO)}
    assert homes[ONE] != homes[TWO]
    crowd(story, homes[ONE], SEATS, session=ONE)
    assert target(story.ask("r1", session=ONE, mid_turn=mid_turn)) == homes[TWO]


@pytest.mark.parametrize(
    ("at_work", "mid_turn", "stays"),
    [
        (SEATS // 2 - 1, False, True),
        (SEATS // 2, False, False),
        (SEATS // 2, True, True),
        (SEATS - 1, True, True),
    ],
)
def test_it_moves_at_the_beginning_of_a_turn_alone(
    at_work: int, *, mid_turn: bool, stays: bool
) -> None:
    """It does where its home is half full and another has more room; else the cache is worth more.

    Round robin would go to the other node.
    """
    story = Story(IN_TURN, "a:1", "b:1")
    home = served(story, "r0")
    crowd(story, home, at_work, session=ONE)
    story.machine.tables.turn = ["a:1", "b:1"].index(home)  # the other one is next
    assert (target(story.ask("r1", session=ONE, mid_turn=mid_turn)) == home) is stays


def test_it_stays_where_all_are_half_full() -> None:
    story = Story(IN_TURN, "a:1", "b:1")
    home = served(story, "r0", ONE)
    other = served(story, "s0", TWO)
    assert home != other
    crowd(story, home, SEATS // 2, session=ONE)
    for number in range(SEATS // 2):
        story.ask(f"other{number}", session=TWO, mid_turn=True)
    for number in range(2):
        assert target(story.ask(f"r{number + 1}", session=ONE)) == home


def test_a_home_whose_breaker_is_open_or_being_tried_is_none() -> None:
    story = Story(IN_TURN, "a:1", "b:1")
    home = served(story, "r0")
    other = next(node for node in ("a:1", "b:1") if node != home)
    story.force(home, "open")
    assert target(story.ask("r1", session=ONE, mid_turn=True)) == other
    story.leave("r1")
    story.force(home, None)
    assert target(story.ask("r2", session=ONE, mid_turn=True)) == home


def test_a_home_that_rests_is_not_probed_by_those_who_live_there() -> None:
    story = Story(IN_TURN, "a:1", "b:1")
    home = served(story, "r0")
    for number in range(3):
        story.machine.tables.turn = ["a:1", "b:1"].index(home) + 1
        story.ask(f"x{number}", session=ONE)
        story.fail(f"x{number}", Fault.CONNECT)
        story.leave(f"x{number}")
    assert story.state(home) == "open"
    story.wait(11.0)
    story.up(home)
    story.machine.tables.turn = ["a:1", "b:1"].index(home)
    assert target(story.ask("r1", session=ONE, mid_turn=True)) != home


def test_a_home_that_is_gone_is_none() -> None:
    story = Story(IN_TURN, "a:1", "b:1")
    home = served(story, "r0")
    story.down(home)
    assert served(story, "r1") != home


def test_order_goes_before_a_home() -> None:
    """Who was served by a cloud while Exo was down comes back to Exo, and finds its home again."""
    story = Story(BOTH, "a:1")
    assert served(story, "r0") == "a:1"
    story.force("a:1", "open")
    assert served(story, "r1") == "p"
    story.force("a:1", None)
    assert served(story, "r2", mid_turn=True) == "a:1"


def test_privacy_goes_before_a_home() -> None:
    story = Story(BOTH, "a:1")
    story.force("a:1", "open")
    assert served(story, "r0") == "p"
    assert told(story.ask("r1", session=ONE, local_only=True))[0].startswith("refuse 503")


def test_another_node_of_its_cluster_is_its_home_too() -> None:
    """They share the instance, and with it the cache."""
    story = Story(IN_TURN)
    for node, mates in (("a:1", "b:1"), ("b:1", "a:1"), ("c:1", "")):
        story.up(node)
        story.read(node, M, mates=mates)
    story.read("a:1", M, mates="b:1")
    home = served(story, "r0")
    while home == "c:1":
        home = served(story, "r0", session=TWO)
    session = ONE if story.machine.tables.affinity.homes.get((ONE, "chat", None)) else TWO
    mate = {"a:1": "b:1", "b:1": "a:1"}[home]
    story.force(home, "open")
    assert {served(story, f"s{turn}", session) for turn in range(3)} == {mate}


def test_a_home_in_a_large_house_is_found_though_only_a_few_nodes_are_looked_at() -> None:
    nodes = tuple(f"{chr(97 + n)}:1" for n in range(20))
    story = Story(IN_TURN, *nodes)
    home = target(story.ask("r0", session=ONE, draw=0.9))
    story.succeed("r0")
    for turn in range(1, 9):
        assert target(story.ask(f"r{turn}", session=ONE, draw=turn / 10)) == home
        story.leave(f"r{turn}")


def test_a_home_is_forgotten_an_hour_after_its_last_content() -> None:
    story = Story(IN_TURN, *NODES)
    served(story, "r0")
    story.wait(KEPT - 1.0)
    served(story, "r1")
    story.wait(KEPT - 1.0)
    assert len(story.machine.tables.affinity.homes) == 1
    story.wait(62.0)
    assert not story.machine.tables.affinity.homes


def test_so_many_homes_are_remembered_and_the_one_used_last_stays() -> None:
    table, at = Affinity(), make_candidate(P, P, M)
    events = [
        RequestArrived(request=RequestId("r"), model="m", deadline=1.0, draw=0.0, session=number)
        for number in range(1, MAX_CONVERSATIONS + 2)
    ]
    for event in events[:-1]:
        table.note(event, at, 0.0)
    table.note(events[0], at, 1.0)
    table.note(events[-1], at, 1.0)
    assert len(table.homes) == MAX_CONVERSATIONS
    homes = [table.home(event, P) is not None for event in (events[0], events[1], events[-1])]
    assert homes == [True, False, True]


def test_at_a_provider_it_stays_with_the_model_that_served_it() -> None:
    """Of two that a row names there, the one that has its prompt goes before the first named."""
    other = ModelRule("chat", cloud=((P, X), (P, M)))
    story = Story(Policy(clouds=(Cloud(P, "https://p.example"),), models=(other,)))
    story.force("p", "open", "x")
    [start] = story.ask("r0", session=ONE)
    story.succeed("r0")
    story.force("p", None, "x")
    [again] = story.ask("r1", session=ONE)
    assert [getattr(each, "model", None) for each in (start, again)] == [M, M]
    story.leave("r1")
    [plain] = story.ask("r2")
    assert getattr(plain, "model", None) == X


class Conversations(stateful.RuleBasedStateMachine):
    """Whatever happens, whoever could be served at home is, and whoever could not is elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(IN_TURN, *NODES)
        self.homes: dict[int, str] = {}
        self.out: dict[str, tuple[int, str]] = {}
        self.count = 0

    @stateful.rule(session=st.integers(1, 5), mid_turn=st.booleans(), draw=st.floats(0, 0.99))
    def ask(self, session: int, draw: float, *, mid_turn: bool) -> None:
        """Ask once; what the machine may not do is told by counts of our own."""
        self.count += 1
        taken = {node: sum(at == node for _, at in self.out.values()) for node in NODES}
        effects = self.story.ask(f"r{self.count}", session=session, mid_turn=mid_turn, draw=draw)
        if self.story.waits(f"r{self.count}"):
            assert min(taken.values()) >= SEATS, "it waits though somebody is free"
            self.story.leave(f"r{self.count}")
            return
        went, home = target(effects), self.homes.get(session)
        self.out[f"r{self.count}"] = session, went
        assert taken[went] < SEATS, "a full node was asked"
        if home is None or taken[home] >= SEATS:
            return
        room = any(2 * many < SEATS for node, many in taken.items() if node != home)
        if mid_turn or 2 * taken[home] < SEATS or not room:
            assert went == home, "it left its home without need"

    @stateful.rule(which=st.integers(0, 99), well=st.booleans())
    def end(self, which: int, *, well: bool) -> None:
        """End one of those that are out."""
        if not self.out:
            return
        request = sorted(self.out)[which % len(self.out)]
        session, at = self.out.pop(request)
        if well:
            self.story.succeed(request)
            self.homes[session] = at
        else:
            self.story.leave(request)


TestConversations = Conversations.TestCase
TestConversations.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
