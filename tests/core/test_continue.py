"""A plain text that broke off goes on at another target of the same model, if one can at once."""

from exo_supervisor.core.effects import Effect, StartAttempt
from exo_supervisor.core.events import AttemptSettled
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.core.policy import ModelRule, Policy
from exo_supervisor.core.requests.retry_budget import FLOOR
from tests.core.story import CLOUDS, M, P, Q, Story, X, told

GOES_ON = ModelRule("chat", exo=(M,), cloud=((P, X),), continues=True)
POLICY = Policy(clouds=CLOUDS, models=(GOES_ON,))
LOCAL = Policy(models=(ModelRule("chat", exo=(M,), continues=True, local_only=True),))


def breaks(
    story: Story, request: str, fault: Fault, *, resumable: bool = True, field: str = ""
) -> list[Effect]:
    """Let a stream break off in the middle."""
    return story.tell(
        AttemptSettled(
            request=RequestId(request),
            attempt=story.number(request),
            failure=Failure(fault, field=field),
            draw=0.0,
            committed=True,
            resumable=resumable,
        )
    )


def begun(policy: Policy, *nodes: str) -> Story:
    story = Story(policy, *nodes)
    story.ask("r")
    story.begin("r")
    return story


def test_another_cluster_goes_on_and_the_fault_is_booked() -> None:
    story = begun(POLICY, "a:1", "b:1")
    effects = breaks(story, "r", Fault.RESET)
    [start] = effects
    assert isinstance(start, StartAttempt)
    assert (start.target, start.resumes, start.continues) == ("b:1", True, True)
    assert story.failures("a:1") == 1
    [said] = [said for said in story.said if said.name == "stream_continued"]
    assert said.facts == {"request_id": "r", "from": "a:1", "to": "b:1", "fault": "reset"}
    story.begin("r")
    story.fail("r", Fault.NONE, committed=True)
    assert story.idle()
    assert story.machine.dispatch.last_failed is None


def test_the_cloud_goes_on_where_no_node_can() -> None:
    story = begun(POLICY, "a:1")
    assert told(breaks(story, "r", Fault.STALL)) == ["start p x /attempt_failed"]


def test_it_may_go_on_more_than_once_but_not_for_ever() -> None:
    story = begun(POLICY, "a:1", "b:1")
    assert told(breaks(story, "r", Fault.RESET)) == ["start b:1 m /attempt_failed"]
    story.begin("r")
    assert told(breaks(story, "r", Fault.RESET)) == ["start p x /attempt_failed"]
    story.begin("r")
    assert breaks(story, "r", Fault.RESET) == []
    assert story.idle()


def test_what_must_stay_never_goes_on_in_the_cloud() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    story.begin("r")
    assert breaks(story, "r", Fault.RESET) == []
    assert story.idle()


def test_generation_a_begins_anew_and_is_not_asked() -> None:
    story = begun(POLICY, "c:1")
    story.up("a:1", generation="A")
    story.read("a:1", "m")
    assert told(breaks(story, "r", Fault.RESET)) == ["start p x /attempt_failed"]


def test_a_model_that_may_not_be_continued_and_a_text_that_cannot_end() -> None:
    story = begun(POLICY, "a:1", "b:1")
    assert breaks(story, "r", Fault.RESET, resumable=False) == []
    plain = Policy(models=(ModelRule("chat", exo=(M,)),))
    assert breaks(begun(plain, "a:1", "b:1"), "r", Fault.RESET) == []


def test_a_client_that_left_and_a_deadline_are_ends() -> None:
    for fault in (Fault.CLIENT_LEFT, Fault.DEADLINE):
        story = begun(POLICY, "a:1", "b:1")
        assert breaks(story, "r", fault) == []
        assert story.machine.dispatch.last_failed is None


def test_a_target_that_will_not_go_on_is_left_for_another() -> None:
    story = begun(POLICY, "a:1", "b:1")
    breaks(story, "r", Fault.RESET)
    assert told(breaks(story, "r", Fault.REJECTED)) == ["start p x /attempt_failed"]
    story.begin("r")
    assert breaks(story, "r", Fault.REJECTED) == [], "after words of its own it is no refusal"
    assert story.idle()


def test_a_refusal_of_its_own_says_nothing_of_going_on() -> None:
    rule = ModelRule("chat", exo=(M,), cloud=((P, X), (Q, X)), continues=True)
    story = begun(Policy(clouds=CLOUDS, models=(rule,)), "a:1")
    story.ask("s", route="cloud")
    story.fail("s", Fault.UNSUPPORTED)
    assert told(breaks(story, "r", Fault.RESET)) == ["start p x /attempt_failed"]
    story.begin("r")
    assert breaks(story, "r", Fault.REJECTED) == [], "q could, but p has answered"


def test_a_provider_that_will_not_go_on_is_not_asked_to_again() -> None:
    for fault in (Fault.REJECTED, Fault.UNSUPPORTED, Fault.BEGAN_ANEW):
        rule = ModelRule("chat", exo=(M,), cloud=((P, X), (Q, X)), continues=True)
        story = begun(Policy(clouds=CLOUDS, models=(rule,)), "a:1")
        assert told(breaks(story, "r", Fault.RESET)) == ["start p x /attempt_failed"]
        assert told(breaks(story, "r", fault)) == ["start q x /attempt_failed"]
        story.succeed("r")
        story.ask("s")
        story.begin("s")
        assert told(breaks(story, "s", Fault.RESET)) == ["start q x /attempt_failed"]
        story.ask("t", route="cloud")
        assert story.number("t") == 1, "whoever begins anew at it is served"


def test_one_that_begins_anew_is_left_for_another_and_counts_nowhere() -> None:
    story = begun(POLICY, "a:1", "b:1")
    breaks(story, "r", Fault.RESET)
    assert told(breaks(story, "r", Fault.BEGAN_ANEW)) == ["start p x /attempt_failed"]
    assert story.failures("b:1") == story.failures("b:1", "m") == 0


def test_past_its_deadline_nothing_goes_on() -> None:
    story = Story(POLICY, "a:1", "b:1")
    story.ask("r", deadline=10.0)
    story.begin("r")
    story.now += 10.0
    assert breaks(story, "r", Fault.RESET) == []
    assert story.idle()


def test_a_provider_that_refuses_what_we_added_goes_on_without_it() -> None:
    story = begun(POLICY, "a:1")
    assert told(breaks(story, "r", Fault.RESET)) == ["start p x /attempt_failed"]
    assert told(breaks(story, "r", Fault.FIELD_REFUSED, field="stream_options")) == [
        "start p x /attempt_failed"
    ]


def test_a_busy_node_is_not_waited_for_in_the_middle_of_an_answer() -> None:
    story = begun(POLICY, "a:1", "b:1")
    story.ask("s")
    story.fail("s", Fault.BUSY, retry_after=3.0)
    assert told(breaks(story, "r", Fault.RESET)) == ["start p x /attempt_failed"]


def test_no_retry_is_paid_for_where_an_answer_cannot_go_on_at_once() -> None:
    alone = ModelRule("chat", exo=(M,), continues=True)
    story = Story(Policy(models=(alone,)), "a:1", "b:1")
    assert told(story.ask("r")) == ["start a:1 m"]
    assert told(story.fail("r", Fault.BUSY, retry_after=3.0)) == ["start b:1 m /busy"]
    story.begin("r")
    assert breaks(story, "r", Fault.RESET) == []
    budget = vars(story.machine.dispatch)["_retry_budget"]
    assert [budget.spend(story.now) for _ in range(FLOOR)] == [True] * FLOOR


def test_an_answer_that_is_cut_for_want_of_room_is_a_failure_of_ours() -> None:
    story = begun(POLICY, "a:1")
    assert breaks(story, "r", Fault.OVERLOADED) == []
    assert story.machine.dispatch.last_failed is not None, "as its log line says"
