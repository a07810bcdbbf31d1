"""A provider with several keys goes on with the next one where one is refused or limited."""

import pytest
from msgspec import structs

from exo_supervisor.core.events import PolicyChanged
from exo_supervisor.core.fleet.provider_keys import KEY_REST
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import ModelRule
from tests.core.story import BOTH, CLOUDS, P, Story, X, refusal, told

Y = ModelId("y")
TWO_KEYS = structs.replace(CLOUDS[0], keys=2)
CLOUD = structs.replace(BOTH, order=("cloud",), clouds=(TWO_KEYS, CLOUDS[1]))
ONE = structs.replace(CLOUD, clouds=(TWO_KEYS,))


def test_a_refused_key_leads_to_the_next_one_and_then_to_the_next_target() -> None:
    story = Story(CLOUD)
    assert told(story.ask("r")) == ["start p x"]
    assert told(story.fail("r", Fault.BAD_KEY, status=401)) == ["start p x #2"]
    assert told(story.fail("r", Fault.BAD_KEY, status=401)) == ["start q x /attempt_failed"]
    story.succeed("r")
    assert told(story.ask("s")) == ["start q x /cloud_down"], "it is known by now"
    said = [
        (each.facts["number"], each.facts["of"]) for each in story.said if "number" in each.facts
    ]
    assert said == [(1, 2), (2, 2)], "people count from one"
    story.succeed("s")
    assert story.idle()


def test_another_key_is_no_shift() -> None:
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.BAD_KEY, status=402)
    story.names()
    story.succeed("r")
    assert story.names() == []
    assert told(story.ask("s")) == ["start p x #2"], "the second serves alone"


def test_the_first_key_is_tried_again_after_its_rest() -> None:
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.BAD_KEY, status=401)
    story.succeed("r")
    story.wait(KEY_REST)
    assert told(story.ask("s")) == ["start p x"]
    story.succeed("s")
    assert told(story.ask("t")) == ["start p x"]


def test_a_key_that_is_limited_leads_to_the_next_one() -> None:
    story = Story(CLOUD)
    story.ask("r")
    first = story.fail("r", Fault.BUSY, status=429, retry_after=60.0, of_key=True)
    assert told(first) == ["start p x #2"]
    story.succeed("r")
    assert told(story.ask("s")) == ["start p x #2"]
    second = story.fail("s", Fault.BUSY, status=429, retry_after=30.0, of_key=True)
    assert told(second) == ["start q x /busy"]
    story.wait(30.0)
    assert told(story.ask("t")) == ["start p x #2"], "each has its own time"
    story.wait(30.0)
    assert told(story.ask("u")) == ["start p x"]


def test_a_server_that_has_too_much_to_do_is_not_asked_by_another_key() -> None:
    story = Story(CLOUD)
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, status=503, retry_after=60.0)) == ["start q x /busy"]
    assert told(story.ask("s")) == ["start q x /busy"]


def test_the_wait_for_a_limited_key_is_for_the_one_that_is_free_first() -> None:
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.BUSY, status=429, retry_after=4.0, of_key=True)
    assert told(story.fail("r", Fault.BUSY, status=429, retry_after=2.0, of_key=True)) == []
    assert story.waits("r")
    assert told(story.wait(2.0)) == ["start p x #2"]


@pytest.mark.parametrize("fault", [Fault.CONNECT, Fault.SERVER_ERROR, Fault.NOT_PLACED])
def test_what_no_key_could_change_is_not_tried_by_another(fault: Fault) -> None:
    story = Story(structs.replace(CLOUD, budget=0.0))
    for n in range(4):
        story.ask(f"x{n}")
    story.ask("r")
    for n in range(3):
        story.fail(f"x{n}", Fault.NONE, committed=True)
    went = told(story.fail("r", fault))
    assert "start p x #2" not in went


def test_all_keys_refused_is_told_by_the_words_of_one() -> None:
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.BAD_KEY, status=402, message="Insufficient Balance")
    said = refusal(story.fail("r", Fault.BAD_KEY, status=401))
    assert (said.status, said.code) == (503, "no_target")
    said = refusal(story.ask("s"))
    assert "p: bad_key (Insufficient Balance)" in said.message


def test_an_answer_that_began_before_the_refusal_proves_nothing() -> None:
    """An account is spent in the middle of an answer: its end must not bring the key back."""
    story = Story(ONE)
    story.ask("old")
    story.wait(1.0)
    story.ask("r")
    story.fail("r", Fault.BAD_KEY, status=402)
    story.succeed("old")
    assert told(story.ask("s")) == ["start p x #2"]


def test_a_policy_with_fewer_keys_holds_for_whom_the_last_one_serves() -> None:
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.BAD_KEY, status=401)
    story.ask("t")
    story.tell(PolicyChanged(policy=structs.replace(ONE, clouds=CLOUDS[:1])))
    story.begin("t")
    assert told(story.fail("r", Fault.BAD_KEY, status=401)) == ["start p x"]
    story.tell(PolicyChanged(policy=structs.replace(ONE, clouds=())))
    assert refusal(story.fail("r", Fault.BAD_KEY, status=401)).status == 503
    story.fail("t", Fault.NONE, committed=True)
    assert story.idle()
    assert P not in story.machine.tables.clouds.providers


def test_a_conversation_stays_with_its_key_whatever_its_model() -> None:
    """What a key's account has encrypted for it, no other account can read."""
    rules = (ModelRule("chat", cloud=((P, X),)), ModelRule("other", cloud=((P, Y),)))
    story = Story(structs.replace(ONE, models=rules))
    story.ask("r", session=7)
    story.fail("r", Fault.BAD_KEY, status=401)
    story.succeed("r")
    story.wait(KEY_REST)
    assert told(story.ask("new", session=8)) == ["start p x"], "the first key is on trial again"
    story.succeed("new")
    assert told(story.ask("s", session=7)) == ["start p x #2"]
    assert told(story.ask("t", "other", session=7)) == ["start p y #2"]
    story.fail("t", Fault.BAD_KEY, status=401)
    story.succeed("t")
    assert told(story.ask("u", session=7)) == ["start p x"], "it moves with what was refused"
