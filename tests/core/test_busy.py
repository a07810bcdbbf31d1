"""Busy is no illness: it is waited for within patience, tried once more, then passed by."""

import pytest
from msgspec import structs

from exo_supervisor.core.load.marks import BUSY_FIRST, BUSY_MAX
from exo_supervisor.core.names import Address, ModelId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import ModelRule
from tests.core.story import BOTH, LOCAL, M, P, Story, X, refusal, told

Y = ModelId("y")
CLOUD = structs.replace(BOTH, order=("cloud",))


def test_a_short_retry_after_is_waited_for_and_tried_once_more() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert story.fail("r", Fault.BUSY, retry_after=3.0) == []
    assert story.tick(7.9) == [], "never less than it says"
    assert told(story.tick(8.0)) == ["start a:1 m"]
    assert told(story.fail("r", Fault.BUSY, retry_after=0.5)) == ["start p x /busy"]
    assert story.failures("a:1") == 0


def test_a_retry_after_beyond_patience_leads_to_the_next_tier() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=5.1)) == ["start p x /busy"]


def test_exactly_patience_is_still_waited_for() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert story.fail("r", Fault.BUSY, retry_after=5.0) == []


def test_busy_for_no_time_is_tried_once_more_and_no_more_than_that() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=0.0)) == ["start a:1 m"]
    assert told(story.fail("r", Fault.BUSY, retry_after=0.0)) == ["start p x /busy"]


def test_the_others_of_the_tier_come_before_any_wait() -> None:
    story = Story(BOTH, "a:1", "b:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=1.0)) == ["start b:1 m /busy"]


def test_the_shift_says_why_the_first_choice_did_not_answer_at_first() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=0.0)) == ["start a:1 m"]
    story.up("b:1")
    story.read("b:1", M)
    assert told(story.fail("r", Fault.CONNECT)) == ["start b:1 m /busy"]


def test_a_second_try_costs_budget() -> None:
    story = Story(structs.replace(LOCAL, budget=0.0), "a:1")
    for request in "uvw":
        story.ask(request)
        assert told(story.fail(request, Fault.BUSY, retry_after=0.0)) == ["start a:1 m"]
        story.leave(request)
        story.wait(2.0)
    story.ask("r")
    answer = refusal(story.fail("r", Fault.BUSY, retry_after=0.0))
    assert (answer.status, answer.code) == (503, "overloaded")


def test_when_all_are_busy_the_client_hears_when_to_come_again() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    answer = refusal(story.fail("r", Fault.BUSY, retry_after=7.2))
    assert (answer.status, answer.code, answer.retry_after) == (503, "overloaded", 8.0)
    assert "a:1: busy" in answer.message


def test_a_target_that_names_no_time_is_left_alone_ever_longer() -> None:
    story = Story(structs.replace(LOCAL, patience=0.0), "a:1")
    pauses: list[float] = []
    for n in range(7):
        story.ask(f"r{n}")
        story.fail(f"r{n}", Fault.BUSY)
        mark = story.machine.tables.busy.get((Address("a:1"), M, 0))
        assert mark is not None
        pauses.append(mark.until - story.now)
        story.tick(mark.until)
    assert pauses == [BUSY_FIRST, 2.0, 4.0, 8.0, 16.0, BUSY_MAX, BUSY_MAX]
    story.ask("s")
    story.begin("s")
    assert len(story.machine.tables.busy.marks) == 0, "an answer ends the row"


def test_others_wait_for_it_too_and_go_on_when_their_patience_ends() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", Fault.BUSY, retry_after=4.0)
    assert story.ask("s") == []
    assert told(story.wait(4.0)) == ["start a:1 m"], "one goes first"
    assert told(story.fail("r", Fault.BUSY, retry_after=2.0)) == ["start p x /busy"]
    assert told(story.wait(0.2)) == ["start p x /busy"], "its time is beyond the other's patience"


def test_a_deadline_passes_while_waiting() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r", deadline=2.0)
    assert story.fail("r", Fault.BUSY, retry_after=3.0) == []
    assert told(story.wait(2.0)) == ["refuse 504 deadline"]
    assert story.idle()


@pytest.mark.parametrize("deadline", [0.0, -1.0])
def test_nobody_is_started_at_or_past_a_deadline(deadline: float) -> None:
    story = Story(LOCAL, "a:1")
    assert told(story.ask("r", deadline=deadline)) == ["refuse 504 deadline"]


def test_a_deadline_that_passes_in_an_attempt_ends_the_request() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.DEADLINE)) == ["refuse 504 deadline"]
    assert (story.failures("a:1"), story.idle()) == (0, True)


def test_one_model_that_is_busy_leaves_the_others_of_its_provider_alone() -> None:
    rule = ModelRule("other", cloud=((P, Y),))
    story = Story(structs.replace(CLOUD, models=(*BOTH.models, rule)))
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=20.0)) == ["start q x /busy"]
    assert told(story.ask("s")) == ["start q x /busy"]
    assert told(story.ask("t", "other")) == ["start p y"]


def test_a_shorter_time_never_overwrites_a_longer_one() -> None:
    story = Story(CLOUD)
    story.ask("r")
    story.ask("s")
    story.fail("r", Fault.BUSY, retry_after=20.0)
    story.fail("s", Fault.BUSY, retry_after=1.0)
    story.wait(2.0)
    assert told(story.ask("t")) == ["start q x /busy"]


def test_a_busy_model_sends_a_request_to_another_of_the_same_provider() -> None:
    rule = ModelRule("two", cloud=((P, X), (P, Y)))
    story = Story(structs.replace(BOTH, models=(rule,)))
    story.ask("r", "two")
    assert told(story.fail("r", Fault.BUSY, retry_after=20.0)) == ["start p y"]


def test_nobody_waits_who_may_not_try_again_afterwards() -> None:
    """The budget is asked before the wait: who has none left goes on at once."""
    story = Story(structs.replace(BOTH, budget=0.0), "a:1")
    for n in range(5):
        story.ask(f"r{n}")
    ends = [told(story.fail(f"r{n}", Fault.BUSY, retry_after=2.0)) for n in range(5)]
    assert ends == [[], [], [], ["start p x /busy"], ["start p x /busy"]]
    assert sorted(told(story.wait(4.0))) == ["start a:1 m"] * 3, "what was paid is not paid twice"


def test_of_those_who_wait_one_goes_first_and_the_others_follow_one_by_one() -> None:
    story = Story(structs.replace(BOTH, budget=1.0), "a:1")
    for n in range(4):
        story.ask(f"r{n}", draw=n / 4)
    for n in range(4):
        story.fail(f"r{n}", Fault.BUSY, retry_after=2.0)
    assert told(story.tick(7.0)) == ["start a:1 m"]
    assert story.read("a:1", "m", index=5) == [], "no news bring all of them back at once"
    story.begin("r0")
    ends = [told(story.tick(7.0 + later)) for later in (0.3, 0.34, 0.56, 0.8)]
    assert ends == [[], ["start a:1 m"], ["start a:1 m"], ["start a:1 m"]]


def test_a_first_one_that_is_refused_again_spares_the_others_the_same() -> None:
    story = Story(structs.replace(BOTH, budget=1.0), "a:1")
    for request in "rs":
        story.ask(request)
    for request in "rs":
        story.fail(request, Fault.BUSY, retry_after=2.0)
    story.tick(7.0)
    story.fail("r", Fault.BUSY, retry_after=2.5)
    assert story.tick(9.4) == []
    assert told(story.tick(9.5)) == ["start a:1 m"]


def test_where_all_asked_for_a_long_rest_one_request_a_minute_tries() -> None:
    story = Story(CLOUD)
    story.ask("r")
    story.fail("r", Fault.BUSY, retry_after=3600.0)
    assert refusal(story.fail("r", Fault.BUSY, retry_after=1800.0)).retry_after == 1800.0
    other = Story(CLOUD)
    other.ask("r")
    other.fail("r", Fault.BUSY, retry_after=1800.0)
    other.fail("r", Fault.BUSY, retry_after=3600.0)
    other.wait(60.0)
    assert told(other.ask("s")) == ["start p x /busy"], "whoever is named first"
    story.wait(59.9)
    assert told(story.ask("s")) == ["refuse 503 overloaded"]
    story.wait(0.1)
    assert told(story.ask("t")) == ["start q x /busy"], "the one that ends first"
    assert told(story.ask("u")) == ["refuse 503 overloaded"], "one only"
    story.fail("t", Fault.BUSY, retry_after=5.0)
    story.wait(60.0)
    assert told(story.ask("v")) == ["start q x /busy"]
    story.succeed("v")
    assert told(story.ask("w")) == ["start q x /busy"], "a success lifts the mark"


def test_what_was_paid_for_a_wait_in_one_tier_buys_nothing_in_the_next() -> None:
    policy = structs.replace(BOTH, order=("cloud", "exo"), clouds=BOTH.clouds[:1], budget=0.0)
    story = Story(policy, "a:1", "b:1", "c:1")
    for request in "rst":
        story.ask(request)
    for request in "rst":
        assert story.fail(request, Fault.BUSY, retry_after=2.0) == []
    story.wait(2.0)
    assert told(story.fail("r", Fault.BUSY, retry_after=60.0)) == ["start a:1 m /busy"]
    story.wait(1.2)
    story.fail("s", Fault.CONNECT)
    assert refusal(story.fail("s", Fault.CONNECT)).code == "attempts_failed"


def test_a_seat_that_is_taken_is_no_mark() -> None:
    story = Story(structs.replace(LOCAL, patience=0.0), "a:1", generation="A")
    story.ask("r")
    assert story.ask("s") == [], "it waits for the seat, and nobody is tried"


def test_who_tries_a_target_once_a_minute_takes_a_seat_for_it() -> None:
    """Generation A works on one request at a time, whatever its model."""
    story = Story(structs.replace(LOCAL, patience=0.0), "a:1", generation="A")
    story.read("a:1", "m", "n")
    story.ask("r")
    story.fail("r", Fault.BUSY, retry_after=3600.0)
    story.wait(60.0)
    assert told(story.ask("s", "n")) == ["start a:1 n"]
    assert told(story.ask("t")) == ["refuse 503 overloaded"], "another model has the only seat"


@pytest.mark.parametrize(
    ("first", "second", "told_to_client"), [(20.0, 30.0, 20.0), (30.0, 20.0, 20.0), (7.2, 7.2, 8.0)]
)
def test_the_client_is_told_the_soonest_time_that_was_said(
    first: float, second: float, told_to_client: float
) -> None:
    story = Story(CLOUD)
    story.ask("r")
    story.fail("r", Fault.BUSY, retry_after=first)
    answer = refusal(story.fail("r", Fault.BUSY, retry_after=second))
    assert (answer.code, answer.retry_after) == ("overloaded", told_to_client)


def test_a_mark_outlasts_a_shorter_rest() -> None:
    story = Story(structs.replace(CLOUD, clouds=CLOUD.clouds[:1]))
    for request in "rstu":
        story.ask(request)
    for request in "rst":
        story.fail(request, Fault.CONNECT)
    assert refusal(story.fail("u", Fault.BUSY, retry_after=40.0)).retry_after == 40.0
    assert story.state("p") == "open"


def test_a_target_is_free_when_both_its_rest_and_its_mark_are_over() -> None:
    story = Story(structs.replace(BOTH, clouds=BOTH.clouds[:1]))
    story.ask("r")
    story.fail("r", Fault.BUSY, retry_after=40.0)
    story.force("p", "open")
    assert refusal(story.ask("s")).retry_after == 40.0
