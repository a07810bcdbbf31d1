"""Of an attempt without progress the state is asked; what it does not vouch for is ended."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import CancelAttempt, Effect, KeepAwake
from exo_supervisor.core.events import PlacementFailed, ProbeAnswered
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.names import Address, InstanceId, NodeId, RequestId, Target
from exo_supervisor.core.outcomes import Fault
from tests.core.story import BOTH, LOCAL, M, Story, stand, told

R, S = RequestId("r"), RequestId("s")
LOST, LATE = ["CancelAttempt state_lost"], ["CancelAttempt first_content_timeout"]
STALLED = ["CancelAttempt stall"]
ASKED, AWAKE = ["ReadPlacement a:1"], ["KeepAwake None"]


class Silent(Story):
    """A model on one copy at a:1, and a request there that makes no progress; then `ask` again."""

    def __init__(self, *copies: str) -> None:
        super().__init__(BOTH)
        self.up("a:1")
        self.index = 100
        self.copies = copies or ("i1@a:1",)
        self.says()
        self.ask("r")

    def says(
        self, *copies: str, running: bool = False, why: str = "", grown: int = 10
    ) -> list[Effect]:
        """Let a:1 tell its state; no copies are those that stand."""
        self.index += grown
        placed = stand("m", *(copies or self.copies), why=why, running=running)
        return self.tells("a:1", placed, index=self.index)

    def begun(self) -> None:
        """Let the answer begin, and stand still for ten seconds."""
        self.begin("r")
        self.wait(10.0)

    def asked(self, request: str = "r", *, after: float = 10.0, silence: float = 10.0) -> None:
        """Let some time pass, and the state be asked about a silence."""
        self.wait(after)
        assert told(self.quiet(request, silence)) == ASKED


def target(story: Story, request: RequestId) -> Target:
    """Tell where a request's attempt is."""
    attempt = story.machine.dispatch.requests[request].attempt
    assert attempt is not None
    return attempt.candidate.target


# While it vouches


def test_what_the_state_vouches_for_goes_on_however_long_it_is_silent() -> None:
    story = Silent()
    for tens in range(1, 30):
        story.asked(silence=10.0 * tens)
        assert story.says(running=True) == []


def test_it_is_vouched_for_after_content_too_and_its_client_is_kept_awake() -> None:
    story = Silent()
    story.begun()
    for tens in range(1, 30):
        assert told(story.quiet("r", 10.0 * tens, begun=True)) == ASKED
        assert story.says(running=True) == [KeepAwake(request=R, attempt=1)]
        story.wait(10.0)


@pytest.mark.parametrize(
    ("copies", "why", "grown"),
    [
        pytest.param((), "runner_failed", 10, id="its runner failed"),
        pytest.param((), "shutting_down", 10, id="its runner is shutting down"),
        pytest.param((), "loading", 10, id="its runner is loading again"),
        pytest.param((), "host_silent", 10, id="a host of it fell silent"),
        pytest.param(("i2@a:1",), "", 10, id="only a new copy is there"),
        pytest.param((), "", -60, id="a re-election: the index fell"),
        pytest.param((), "", -20, id="it left the session: the index fell"),
        pytest.param((), "", 0, id="the index of its member stands still"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_what_the_state_disowns_is_ended(
    copies: tuple[str, ...], why: str, grown: int, *, begun: bool
) -> None:
    story = Silent()
    if begun:
        story.begin("r")
    story.wait(10.0)
    story.quiet("r", 10.0, begun=begun)
    assert told(story.says(*copies, why=why, running=not why, grown=grown)) == LOST
    assert story.says(*copies, why=why, grown=grown) == [], "only once"
    story.fail("r", Fault.STATE_LOST, committed=begun)
    assert story.number("r") == (0 if begun else 2)


def test_a_model_that_is_gone_ends_it() -> None:
    story = Silent()
    story.asked()
    assert told(story.tells("a:1", index=120)) == LOST


def test_of_several_copies_each_has_to_stand() -> None:
    """Any of them may have taken it, and the state's tasks hold other people's prompts."""
    story = Silent("i1@a:1", "i2@a:1")
    story.asked()
    assert story.says("i1@a:1", "i2@a:1", "i3@a:1", running=True) == []
    story.asked(silence=20.0)
    assert told(story.says("i2@a:1", "i3@a:1", running=True)) == LOST


def test_a_copy_that_was_loading_when_it_began_may_go_on_loading() -> None:
    story = Story(BOTH)
    story.up("a:1")
    well = Instance(InstanceId("i1"), ready=True, running=True)
    slow = Instance(InstanceId("i2"), ready=False, why="loading")
    placed = Placed(M, ready=True, instances=(well, slow))
    story.tells("a:1", placed, index=1)
    story.ask("r")
    story.wait(10.0)
    story.quiet("r", 10.0)
    assert story.tells("a:1", placed, index=11) == []
    story.wait(10.0)
    story.quiet("r", 20.0)
    alone = Placed(M, ready=True, instances=(well,))
    assert told(story.tells("a:1", alone, index=21)) == LOST, "but it may have taken the request"


def test_generation_a_has_no_copies_and_its_model_has_to_be_ready() -> None:
    story = Story(BOTH, "a:1", generation="A")
    story.ask("r")
    story.wait(10.0)
    story.quiet("r", 10.0)
    assert story.read("a:1", "m") == []
    story.quiet("r", 20.0)
    assert told(story.read("a:1", loading="m")) == LOST


@pytest.mark.parametrize(("before", "after"), [(None, 3), (3, None)])
def test_a_state_without_an_index_cannot_fall(before: int | None, after: int | None) -> None:
    story = Story(BOTH, "a:1")
    story.read("a:1", "m", index=before)
    story.ask("r")
    story.wait(1.0)
    story.quiet("r", 10.0)
    assert story.read("a:1", "m", index=after) == []


# Ready, and at no work


def test_who_waits_for_a_model_that_is_ready_and_at_no_work_has_ten_seconds() -> None:
    story = Silent()
    story.asked()
    assert story.says() == []
    story.asked(silence=20.0)
    assert told(story.says()) == LOST
    assert told(story.fail("r", Fault.STATE_LOST)) == ["start p x /attempt_failed"]


def test_work_in_between_begins_the_ten_seconds_anew() -> None:
    story = Silent()
    for tens, running in enumerate([False, True, False], start=1):
        story.asked(silence=10.0 * tens)
        assert story.says(running=running) == []
    story.asked(silence=40.0)
    assert told(story.says()) == LOST


def test_progress_in_between_begins_the_ten_seconds_anew() -> None:
    story = Silent()
    story.asked()
    assert story.says() == []
    story.asked(after=11.0, silence=10.0)
    assert story.says() == []


def test_after_content_too_and_nobody_is_kept_awake_by_it() -> None:
    story = Silent()
    story.begun()
    story.quiet("r", 10.0, begun=True)
    assert story.says() == []
    story.wait(10.0)
    story.quiet("r", 20.0, begun=True)
    assert told(story.says()) == LOST


def test_the_others_that_wait_there_for_that_model_are_moved_at_once() -> None:
    story = Silent()
    story.asked()
    story.says()
    story.wait(3.0)
    for request in ("s", "begun"):
        story.ask(request)
    story.begin("begun")
    story.wait(6.5)
    story.ask("just now")
    story.wait(0.5)
    story.quiet("r", 20.0)
    ended = story.says()
    assert told(ended) == LOST * 2
    assert [each.request for each in ended if isinstance(each, CancelAttempt)] == ["r", "s"]


def test_who_waits_for_a_seat_there_takes_the_next_that_is_free() -> None:
    story = Silent()
    for number in range(8):
        story.ask(f"s{number}", route="exo")
    assert story.waits("s7")
    for tens in (1, 2):
        story.asked(silence=10.0 * tens)
        assert told(story.says()) == LOST * 8 * (tens - 1)
    assert story.waits("s7")
    assert told(story.fail("s0", Fault.STATE_LOST)) == [
        "refuse 502 attempts_failed",
        "start a:1 m",
    ]


def test_those_that_wait_at_another_member_for_that_model_are_moved_too() -> None:
    story = Story(LOCAL)
    for node in ("a:1", "b:1"):
        story.up(node)
    for index in (1, 2):
        for node in ("a:1", "b:1"):
            story.tells(node, stand("m", "i1@a:1"), mates="a:1 b:1", index=index)
    story.ask("r", draw=0.0)
    story.ask("s", draw=0.9)
    mine = target(story, R)
    assert {mine, target(story, S)} == {"a:1", "b:1"}
    for tens in (1, 2):
        story.wait(10.0)
        story.quiet("r", 10.0 * tens)
        ended = story.tells(mine, stand("m", "i1@a:1"), mates="a:1 b:1", index=10 * tens)
        assert told(ended) == LOST * 2 * (tens - 1)


def test_a_member_that_lags_says_nothing_of_those_that_wait_at_another() -> None:
    story = Story(LOCAL)
    well = stand("m", "i1@a:1", running=True)
    for node in ("a:1", "b:1"):
        story.up(node)
    for index in (1, 2):
        for node in ("a:1", "b:1"):
            story.tells(node, well, mates="a:1 b:1", index=index)
    story.ask("r", draw=0.0)
    story.ask("s", draw=0.9)
    mine = target(story, R)
    other = target(story, S)
    assert mine != other
    story.wait(10.0)
    story.tells(other, well, mates="a:1 b:1", index=5000)
    story.quiet("r", 10.0)
    failed = stand("m", "i1@a:1", why="runner_failed")
    assert told(story.tells(mine, failed, mates="a:1 b:1", index=100)) == LOST


def test_an_election_moves_those_too_that_were_not_asked_about() -> None:
    story = Silent()
    story.wait(5.0)
    story.ask("s")
    story.asked(after=5.0)
    assert told(story.says("i2@a:1", running=True, grown=-60)) == LOST * 2


# Who is asked, and when


def test_one_reading_serves_all_that_are_silent_there() -> None:
    story = Silent()
    story.wait(3.0)
    story.ask("s")
    story.asked(after=7.0)
    story.says(running=True)
    story.asked("s", after=3.0)
    story.says(running=True)
    story.asked(after=7.0, silence=20.0)
    story.says(running=True)
    story.wait(3.0)
    assert story.quiet("s", 20.0) == [], "three seconds ago it was vouched for"
    story.asked(after=7.0, silence=30.0)
    story.says(running=True)


def test_who_was_vouched_for_just_now_is_kept_awake_without_a_question() -> None:
    story = Silent()
    story.begun()
    story.quiet("r", 10.0, begun=True)
    assert told(story.says(running=True)) == AWAKE
    story.wait(4.0)
    assert told(story.quiet("r", 14.0, begun=True)) == AWAKE


def test_a_whole_state_is_asked_for_no_more_often_than_each_fifteen_seconds() -> None:
    story = Silent()
    node = Address("a:1")
    story.tell(
        ProbeAnswered(
            node=node, generation="B", node_id=NodeId("a:1#0"), latency=0.1, state_paths=False
        )
    )
    story.wait(4.0)
    assert story.quiet("r", 4.0) == [], "it was read four seconds ago"
    story.asked(after=11.0, silence=15.0)
    assert story.says(running=True) == []
    story.wait(10.0)
    assert story.quiet("r", 25.0) == []
    story.asked(silence=35.0)


def test_a_reading_that_had_begun_before_the_question_answers_nothing() -> None:
    story = Silent()
    story.asked()
    old = stand("m", "i2@a:1", running=True)
    assert story.tells("a:1", old, index=120, asked_at=story.now - 0.5) == []
    assert told(story.tells("a:1", old, index=121, asked_at=story.now)) == LOST


def test_an_attempt_that_was_never_quiet_is_left_alone() -> None:
    story = Silent()
    assert story.tells("a:1", index=120) == []


def test_progress_ends_the_question() -> None:
    story = Silent()
    story.asked()
    story.begin("r")
    assert story.tells("a:1", index=120) == []


def test_another_members_state_says_nothing() -> None:
    story = Silent()
    story.asked()
    story.up("b:1")
    assert story.read("b:1", index=0) == []


def test_a_stranger_whose_state_comes_late_says_nothing() -> None:
    story = Silent()
    story.asked()
    assert story.read("z:1", "m", index=5) == []


def test_a_provider_has_no_state_to_ask() -> None:
    story = Story(BOTH)
    story.ask("r")
    assert story.quiet("r", 30.0) == []


def test_a_request_that_left_is_asked_about_no_more() -> None:
    story = Silent()
    story.asked()
    story.leave("r")
    assert story.says("i2@a:1") == []
    assert story.idle()


# A state that cannot be read


def unread(story: Story) -> None:
    story.tell(PlacementFailed(node=Address("a:1"), why="timeout"))


def test_while_the_state_stays_unread_the_first_content_has_its_time_and_no_more() -> None:
    story = Silent()
    story.asked()
    unread(story)
    story.asked(silence=20.0)
    unread(story)
    story.wait(10.0)
    assert told(story.quiet("r", 30.0)) == LATE
    assert told(story.fail("r", Fault.FIRST_CONTENT_TIMEOUT)) == ["start p x /attempt_failed"]


def test_while_the_state_stays_unread_a_stall_is_a_stall() -> None:
    story = Silent()
    story.begun()
    assert told(story.quiet("r", 10.0, begun=True)) == ASKED
    unread(story)
    story.wait(10.0)
    assert told(story.quiet("r", 20.0, begun=True)) == STALLED


def test_a_state_that_was_read_vouches_until_it_is_asked_again() -> None:
    story = Silent()
    story.asked()
    story.says(running=True)
    story.asked(after=20.0, silence=30.0)
    unread(story)
    story.wait(10.0)
    assert told(story.quiet("r", 40.0)) == LATE


def test_a_reading_that_takes_its_time_is_waited_for() -> None:
    """A large state is read less often than silences are told of."""
    story = Silent()
    story.asked()
    for tens in range(2, 9):
        story.asked(silence=10.0 * tens)
    assert story.says(running=True) == []
    story.asked(silence=90.0)


def test_of_a_node_that_refuses_its_probes_the_state_is_not_read() -> None:
    story = Silent()
    story.asked()
    story.miss("a:1")
    story.wait(20.0)
    assert told(story.quiet("r", 30.0)) == LATE


def test_of_a_node_that_is_slow_to_say_who_it_is_the_state_may_still_be_read() -> None:
    story = Silent()
    story.asked()
    story.down("a:1", why="timeout")
    story.asked(after=20.0, silence=30.0)
    assert story.says(running=True) == []
    story.asked(silence=40.0)


def test_a_state_that_is_not_read_again_for_long_because_it_failed_is_unread() -> None:
    story = Silent()
    unread(story)
    story.asked()
    story.asked(silence=20.0)
    story.wait(10.0)
    assert told(story.quiet("r", 30.0)) == LATE


def test_where_much_was_learnt_an_unread_state_ends_nothing_before_that() -> None:
    story = Silent()
    story.succeed("r", ttft=25.0)
    story.ask("s", size=400_000)
    story.succeed("s", ttft=20.0)
    story.ask("t", size=400_000)
    story.asked("t")
    unread(story)
    story.asked("t", after=20.0, silence=30.0)
    unread(story)
    story.wait(30.0)
    assert told(story.quiet("t", 60.0)) == LATE


def test_what_another_node_fails_to_tell_is_not_missing() -> None:
    story = Silent()
    story.up("b:1")
    story.asked()
    story.tell(PlacementFailed(node=Address("b:1"), why="timeout"))
    story.asked(after=20.0, silence=30.0)


# Nodes that began anew, or are gone


def test_a_node_that_started_again_knows_nothing_of_it() -> None:
    story = Silent()
    story.asked()
    story.up("a:1", born=1)
    assert told(story.tells("a:1", stand("m", "i1@a:1"), index=9)) == LOST


def test_a_node_that_was_started_anew_has_forgotten_its_attempts() -> None:
    story = Silent()
    story.up("a:1", born=1)
    assert told(story.quiet("r", 30.0)) == LOST


def test_a_node_that_was_forgotten_meanwhile_vouches_for_nothing() -> None:
    story = Story(structs.replace(BOTH, first_look=1.0), "a:1")
    story.ask("r")
    story.quiet("r", 10.0)
    story.down("a:1", why="timeout")
    gone = told(story.wait(700.0))
    assert "UnwatchNode a:1" in gone
    assert told(story.quiet("r", 700.0)) == LOST


def test_the_certain_death_of_a_node_ends_what_waits_there() -> None:
    story = Silent()
    for request in "st":
        story.ask(request)
    story.begin("t")
    story.wait(2.0)
    assert story.miss("a:1") == []
    story.now += 1.0
    assert story.miss("a:1") == []
    ended = [each for each in story.miss("a:1") if isinstance(each, CancelAttempt)]
    assert told(list(ended)) == ["CancelAttempt reset"] * 3
    assert {each.unless_after for each in ended} == {story.now - 1.0}, "since it was missed first"
    assert story.miss("a:1") == [], "only once"
    assert told(story.fail("r", Fault.RESET)) == ["start p x /attempt_failed"]


def test_one_that_went_on_when_its_node_died_ends_with_its_first_silence() -> None:
    story = Silent()
    story.down("a:1")
    assert told(story.quiet("r", 10.0)) == ["CancelAttempt reset"]


def test_silence_may_be_load_and_ends_nothing() -> None:
    story = Silent()
    assert story.down("a:1", why="timeout") == []
    assert story.miss("a:1", why="timeout") == []
    assert told(story.miss("a:1")) == ["CancelAttempt reset"], "until the node refuses"


def test_a_node_whose_answer_makes_progress_is_busy_and_not_down() -> None:
    story = Silent()
    for _ in range(5):
        story.now += 5.0
        story.miss("a:1", why="timeout", lived_at=story.now - 1.0)
    assert story.machine.tables.registry.nodes[Address("a:1")].up
    for _ in range(2):
        story.now += 5.0
        story.miss("a:1", why="timeout", lived_at=24.0)
    assert not story.machine.tables.registry.nodes[Address("a:1")].up


def sharded(*copies: str) -> Story:
    """Let a request be silent at a:1, whose model may need b:1."""
    story = Story(LOCAL)
    for node in ("a:1", "b:1"):
        story.up(node)
    for index in (1, 2):
        for node in ("a:1", "b:1"):
            story.tells(node, stand("m", *copies), mates="a:1 b:1", index=index)
    story.ask("r", draw=0.0)
    return story


@pytest.mark.parametrize(
    ("copies", "ended"),
    [
        pytest.param(("i1@a:1,b:1",), LOST, id="it holds a part of the model"),
        pytest.param(("i1@b:1",), LOST, id="it holds all of it"),
        pytest.param(("i1@a:1",), [], id="it holds nothing of it"),
        pytest.param(("i1@a:1,b:1", "i2@a:1"), [], id="another copy may have taken the request"),
    ],
)
def test_the_certain_death_of_a_host_ends_what_cannot_finish_without_it(
    copies: tuple[str, ...], ended: list[str]
) -> None:
    story = sharded(*copies)
    if target(story, R) == "b:1":
        story.leave("r")
        story.ask("r", draw=0.9)
    assert told(story.down("b:1")) == ended


@pytest.mark.parametrize("why", ["dead", "gone from the ring"])
def test_a_ring_without_one_of_its_members_finishes_nothing(why: str) -> None:
    story = Story(LOCAL)
    for node in ("a:1", "b:1"):
        story.up(node, generation="A")
    for node in ("a:1", "b:1"):
        story.read(node, "m", mates="a:1 b:1")
    story.ask("r", draw=0.0)
    mine = target(story, R)
    other = {"a:1": "b:1", "b:1": "a:1"}[mine]
    if why == "dead":
        assert told(story.down(other)) == LOST
        return
    story.wait(10.0)
    story.quiet("r", 10.0)
    assert story.read(mine, "m", mates=other) == []
    story.wait(10.0)
    story.quiet("r", 20.0)
    assert told(story.read(mine, "m")) == LOST


def test_the_death_of_a_stranger_ends_nothing() -> None:
    story = Silent()
    story.up("b:1")
    story.tells("b:1", stand("m", "i9@b:1"), index=5)
    assert story.down("b:1") == []
