"""A refusal that is nobody's failure leads to where the request may still be served."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import Effect, StartAttempt
from exo_supervisor.core.events import AttemptSettled, ProviderFailed, ProviderListed
from exo_supervisor.core.fleet.provider_keys import KEY_REST, KEY_REST_MAX
from exo_supervisor.core.load.marks import ABSENT, QUIRK
from exo_supervisor.core.names import ModelId, RequestId
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.core.policy import ModelRule
from tests.core.story import BOTH, P, Q, Story, X, refusal, told

Y = ModelId("y")
CLOUD = structs.replace(BOTH, order=("cloud",))
ONE = structs.replace(CLOUD, clouds=CLOUD.clouds[:1])
TWO_MODELS = structs.replace(CLOUD, models=(ModelRule("chat", cloud=((P, X), (P, Y), (Q, X))),))


def declines(story: Story, request: str, body: int, message: str = "flagged") -> list[Effect]:
    """Let a provider decline a request."""
    return story.tell(
        AttemptSettled(
            request=RequestId(request), attempt=story.number(request), draw=0.0, body=body,
            failure=Failure(Fault.DECLINED, message, status=403),
        )
    )  # fmt: skip


def test_a_key_rests_twice_as_long_each_time_until_it_works() -> None:
    story = Story(ONE)
    rests: list[float] = []
    for n in range(6):
        story.ask(f"r{n}")
        assert refusal(story.fail(f"r{n}", Fault.BAD_KEY, status=401)).code == "no_target"
        rests.append(story.machine.tables.clouds.providers[P].keys[0].until - story.now)
        story.wait(rests[-1])
    assert rests == [KEY_REST, 600.0, 1200.0, 2400.0, KEY_REST_MAX, KEY_REST_MAX]
    story.ask("s")
    story.succeed("s")
    story.ask("t")
    story.fail("t", Fault.BAD_KEY, status=401)
    assert story.machine.tables.clouds.providers[P].keys[0].until == story.now + KEY_REST


def test_a_burst_at_a_refused_key_counts_as_one() -> None:
    story = Story(ONE)
    for request in "rst":
        story.ask(request)
    for request in "rst":
        story.fail(request, Fault.BAD_KEY, status=401)
    assert story.machine.tables.clouds.providers[P].keys[0].until == story.now + KEY_REST
    assert story.names().count("provider_key_refused") == 1


@pytest.mark.parametrize("why", ["bad_key", "bad_answer"])
def test_a_refused_list_says_only_that_there_is_no_list(why: str) -> None:
    story = Story(CLOUD)
    story.names()
    refused = ProviderFailed(provider=P, why="bad_key", answered=True)
    story.tell(structs.replace(refused, why=why))
    assert story.names() == ["provider_list_refused"]
    assert told(story.ask("r")) == ["start p x"]


def test_a_model_that_is_not_there_is_not_asked_for_there_until_it_is_listed() -> None:
    story = Story(CLOUD)
    story.ask("r")
    assert told(story.fail("r", Fault.NOT_PLACED)) == ["start q x /attempt_failed"]
    assert told(story.ask("s")) == ["start q x /model_not_ready"]
    story.tell(ProviderListed(provider=P, models=(Y,)))
    assert told(story.ask("t")) == ["start q x /model_not_ready"]
    story.tell(ProviderListed(provider=P, models=(X,)))
    assert told(story.ask("u")) == ["start p x"]


@pytest.mark.parametrize("path", ["embeddings", "completions"])
def test_who_asks_for_what_a_provider_has_no_path_for_takes_its_chats_from_nobody(
    path: str,
) -> None:
    story = Story(CLOUD)
    story.ask("r", demands=(path,))
    story.fail("r", Fault.NOT_PLACED)
    assert told(story.ask("s")) == ["start p x"]
    assert told(story.ask("t", demands=(path,))) == ["start q x /model_not_ready"]


def test_a_model_that_is_not_there_is_asked_for_again_after_a_while() -> None:
    story = Story(CLOUD)
    story.ask("r")
    story.fail("r", Fault.NOT_PLACED)
    story.wait(ABSENT)
    assert told(story.ask("s")) == ["start p x"]


@pytest.mark.parametrize("fault", [Fault.NOT_PLACED, Fault.UNSUPPORTED, Fault.CONTEXT_LENGTH])
def test_another_model_of_the_same_provider_may_serve(fault: Fault) -> None:
    story = Story(TWO_MODELS)
    story.ask("r")
    assert told(story.fail("r", fault))[0].startswith("start p y")


def test_too_long_goes_to_whoever_takes_more_or_does_not_say() -> None:
    rule = ModelRule("chat", cloud=((P, X), (P, Y), (Q, X), (Q, Y)))
    story = Story(structs.replace(CLOUD, models=(rule,)))
    story.tell(ProviderListed(provider=P, models=(X, Y), contexts={X: 8192, Y: 8192}))
    story.tell(ProviderListed(provider=Q, models=(X, Y), contexts={X: 4096}))
    story.ask("r")
    assert told(story.fail("r", Fault.CONTEXT_LENGTH, status=400, message="too long")) == [
        "start q y /attempt_failed"
    ], "equal and shorter ones are passed by"
    answer = refusal(story.fail("r", Fault.CONTEXT_LENGTH, status=400, message="at q, too"))
    assert (answer.status, answer.message) == (400, "too long"), "the first one's words"


@pytest.mark.parametrize(
    ("field", "asked"),
    [("stream", (False, False)), ("stream_options", (True, False)), ("top_p", (True, True))],
)
def test_what_we_had_added_is_left_out_and_asked_again_and_remembered(
    field: str, asked: tuple[bool, bool]
) -> None:
    refused = Fault.FIELD_REFUSED
    story = Story(structs.replace(ONE, attempts=1, budget=0.0))
    story.ask("r")
    [start] = story.fail("r", refused, status=400, message="no such field", field=field)
    assert isinstance(start, StartAttempt)
    assert (start.target, start.attempt, start.shift) == ("p", 2, None)
    assert (start.streamed, start.usage) == asked
    assert (start.timers.headers is None) == (not start.streamed)
    story.succeed("r")
    [start] = story.ask("s")
    assert isinstance(start, StartAttempt)
    assert (start.streamed, start.usage) == asked
    assert field in start.without
    answer = refusal(story.fail("s", refused, status=400, message="no such field", field=field))
    assert (answer.status, answer.code, answer.message) == (
        400, "upstream_rejected", "no such field",
    )  # fmt: skip
    assert story.idle()


def test_a_field_that_was_left_out_is_sent_again_after_a_while() -> None:
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.FIELD_REFUSED, status=400, field="temperature")
    story.succeed("r")
    story.wait(QUIRK + 60.0)
    [start] = story.ask("s")
    assert isinstance(start, StartAttempt)
    assert start.without == frozenset()


def test_a_field_that_was_left_out_in_vain_is_sent_again() -> None:
    """One odd request would take `temperature` from everybody's."""
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.FIELD_REFUSED, status=400, field="temperature")
    story.fail("r", Fault.REJECTED, status=400)
    [start] = story.ask("s")
    assert isinstance(start, StartAttempt)
    assert start.without == frozenset()


def test_to_be_asked_again_takes_nothing_from_the_attempts_of_a_tier() -> None:
    story = Story(structs.replace(TWO_MODELS, attempts=2))
    story.ask("r")
    assert told(story.fail("r", Fault.FIELD_REFUSED, field="stream")) == ["start p x"]
    assert told(story.fail("r", Fault.NOT_PLACED)) == ["start p y"]


def test_a_field_that_nobody_named_is_no_reason_to_ask_again() -> None:
    story = Story(ONE)
    story.ask("r")
    assert told(story.fail("r", Fault.FIELD_REFUSED, status=400)) == [
        "refuse 400 upstream_rejected"
    ]


def test_thoughts_that_another_signed_are_left_out_for_their_own_request_and_target_alone() -> None:
    """Row 11: those of the next conversation it may have signed, and those of this one, q."""
    story = Story(CLOUD)
    story.ask("r")
    [start] = story.fail("r", Fault.FIELD_REFUSED, status=400, field="thinking")
    assert isinstance(start, StartAttempt)
    assert (start.target, start.without) == ("p", {"thinking"})
    [start] = story.fail("r", Fault.FIELD_REFUSED, status=400, field="thinking")
    assert isinstance(start, StartAttempt)
    assert (start.target, start.without) == ("q", frozenset())
    story.succeed("r")
    [start] = story.ask("s")
    assert isinstance(start, StartAttempt)
    assert (start.target, start.without) == ("p", frozenset())


def test_both_may_be_refused_one_after_the_other() -> None:
    story = Story(ONE)
    story.ask("r")
    story.fail("r", Fault.FIELD_REFUSED, status=400, field="stream_options")
    [start] = story.fail("r", Fault.FIELD_REFUSED, status=400, field="stream")
    assert isinstance(start, StartAttempt)
    assert (start.attempt, start.streamed, start.usage) == (3, False, False)
    assert story.succeed("r") == []


def test_it_is_not_asked_again_where_its_breaker_would_not_have_it() -> None:
    """A probe that came before its time taught nothing, and its slot went back."""
    story = Story(ONE)
    for request in "rst":
        story.ask(request)
    for request in "rst":
        story.fail(request, Fault.CONNECT)
    assert story.state("p") == "open"
    assert told(story.ask("u")) == ["start p x /panic"]
    assert told(story.fail("u", Fault.FIELD_REFUSED, field="stream")) == ["refuse 503 no_target"]
    assert story.idle()


def test_a_provider_that_is_never_to_be_asked_for_a_stream_is_not() -> None:
    [plain] = [structs.replace(cloud, streams=False) for cloud in ONE.clouds]
    story = Story(structs.replace(ONE, clouds=(plain,)))
    [start] = story.ask("r")
    assert isinstance(start, StartAttempt)
    assert (start.streamed, start.usage, start.timers.headers) == (False, False, None)


def test_a_declined_request_goes_on_and_the_third_in_a_row_rests_the_model_there() -> None:
    story = Story(CLOUD)
    for n, body in enumerate((1, 2, 2)):
        story.ask(f"r{n}")
        assert told(declines(story, f"r{n}", body)) == ["start q x /attempt_failed"]
    assert story.state("p", "x") == "closed"
    story.ask("s")
    declines(story, "s", 3)
    assert (story.state("p", "x"), story.state("p")) == ("open", "closed")
    assert told(story.ask("t")) == ["start q x /breaker_open"]


def test_a_success_between_them_makes_them_begin_anew() -> None:
    story = Story(CLOUD)
    for body in (1, 2):
        story.ask(f"r{body}")
        declines(story, f"r{body}", body)
    story.ask("s")
    story.succeed("s")
    story.ask("t")
    declines(story, "t", 3)
    assert story.state("p", "x") == "closed"


def test_a_declined_request_that_nobody_served_is_told_in_the_providers_words() -> None:
    story = Story(ONE)
    story.ask("r")
    answer = refusal(declines(story, "r", 1, "flagged for violence"))
    assert (answer.status, answer.code, answer.message) == (
        400, "upstream_rejected", "flagged for violence",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "status", "expected"),
    [
        (Fault.UNSUPPORTED, 404, 400),
        (Fault.UNSUPPORTED, 422, 422),
        (Fault.DECLINED, 402, 400),
        (Fault.CONTEXT_LENGTH, 413, 413),
        (Fault.REJECTED, 405, 405),
        (Fault.REJECTED, 0, 400),
    ],
)
def test_what_lies_between_a_provider_and_us_is_no_status_of_the_clients(
    fault: Fault, status: int, expected: int
) -> None:
    story = Story(ONE)
    story.ask("r")
    answer = refusal(story.fail("r", fault, status=status))
    assert (answer.status, answer.message) == (expected, "the target refused it without a word")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.BAD_KEY, "no_target"),
        (Fault.BUSY, "overloaded"),
        (Fault.CONNECT, "attempts_failed"),
        (Fault.NOT_PLACED, "no_target"),
    ],
)
def test_the_words_of_a_provider_reach_the_client_when_nobody_else_served(
    fault: Fault, code: str
) -> None:
    story = Story(ONE)
    story.ask("r")
    answer = refusal(story.fail("r", fault, status=429, retry_after=60.0, message="no credit left"))
    assert answer.code == code
    assert f"p: {fault.value} (no credit left)" in answer.message


def test_a_model_that_its_provider_neither_lists_nor_has_is_told_in_its_words() -> None:
    story = Story(ONE)
    story.tell(ProviderListed(provider=P, models=()))
    story.ask("r", "p/nope")
    answer = refusal(story.fail("r", Fault.NOT_PLACED, status=404, message="not a model of ours"))
    assert (answer.code, answer.message) == (
        "model_not_found", "the provider has no such model as 'p/nope' (not a model of ours)",
    )  # fmt: skip


def test_that_it_is_not_there_stays_a_404_while_that_is_remembered() -> None:
    story = Story(ONE)
    story.tell(ProviderListed(provider=P, models=()))
    for request in "rs":
        story.ask(request, "p/nope")
        if story.number(request):
            story.fail(request, Fault.NOT_PLACED, status=404)
    assert told(story.ask("t", "p/nope")) == ["refuse 404 model_not_found"]


def test_why_a_key_was_refused_is_told_as_long_as_its_provider_is_left_alone() -> None:
    story = Story(CLOUD)
    story.ask("r")
    story.fail("r", Fault.BAD_KEY, status=402, message="Insufficient Balance")
    story.fail("r", Fault.BAD_KEY, status=401)
    message = refusal(story.ask("s")).message
    assert "; p: bad_key (Insufficient Balance); q: bad_key" in message
    story.tell(ProviderListed(provider=P, models=(X,)))
    assert "p: bad_key (Insufficient Balance)" in refusal(story.ask("t")).message


def test_of_many_attempts_the_first_ones_are_told() -> None:
    nodes = [f"n{n}:1" for n in range(8)]
    story = Story(structs.replace(BOTH, attempts=9, budget=1.0, clouds=(), models=(
        ModelRule("chat", exo=(ModelId("m"),)),)), *nodes)  # fmt: skip
    for n in range(20):
        story.ask(f"other{n}")
        story.leave(f"other{n}")
    story.ask("r")
    for _ in range(7):
        story.fail("r", Fault.CONNECT)
    assert refusal(story.fail("r", Fault.CONNECT)).message.endswith("connect, and 2 more)")


def test_what_a_node_does_not_take_is_taken_to_no_mate_of_it() -> None:
    story = Story(BOTH)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, "m", mates="a:1 b:1")
    story.ask("r")
    assert told(story.fail("r", Fault.UNSUPPORTED, status=400)) == ["start p x /attempt_failed"]
