"""A request does as the core says, ends exactly once, and gives everything back."""

import gc
import json
import re
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import msgspec
import pytest
from msgspec import Raw, structs
from structlog.testing import capture_logs

from exo_supervisor.core.books.book import Dated, Match, Priced, Prices
from exo_supervisor.core.books.price import Price
from exo_supervisor.core.effects import CancelAttempt, Refuse, StartAttempt
from exo_supervisor.core.events import (
    AttemptQuieted,
    AttemptSettled,
    ContentSeen,
    RequestArrived,
    RequestEnded,
)
from exo_supervisor.core.names import Address, Generation, ModelId, RequestId
from exo_supervisor.core.outcomes import Failure, Fault, Refusal, RefusedAs
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.serve.attempt import Attempt
from exo_supervisor.serve.backpressure import Backpressure
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.error_answer import ErrorAnswer
from exo_supervisor.serve.exchange import Exchange
from exo_supervisor.serve.reception import Reception
from exo_supervisor.serve.relay import Relay
from exo_supervisor.serve.response import Response
from exo_supervisor.serve.room import FREE_BYTES
from exo_supervisor.views.booked import Reservation
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.openai.framing import KEEP_ALIVE
from exo_supervisor.wire.openai.stream_writer import DONE
from exo_supervisor.wire.table import OPERATIONS
from tests.serve.test_attempt import END, ERROR, LONG_END, STOP, Step, text
from tests.serve.virtual import HELLO, JSON, RESET, SSE, Browser, House, begun, refusal, start
from tests.wire.requests import a_chat

HEAD: Step = (0.0, (200, SSE))


def refused(code: str, status: int = 503, retry_after: float | None = None) -> Refuse:
    told = Refusal(status, code, "nobody can", param="model", retry_after=retry_after)
    return Refuse(request=RequestId("r"), refusal=told)


# What the core says


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("no_target", "refused"), ("deadline", "abandoned"), ("upstream_rejected", "neutral")],
)
def test_a_refusal_is_an_error_of_its_own_and_one_line(code: str, outcome: RefusedAs) -> None:
    told = structs.replace(refused(code, retry_after=1.2).refusal, outcome=outcome)
    said = Refuse(request=RequestId("r"), refusal=told)
    house = House(lambda request: structs.replace(said, request=request))
    client = house.chat()
    assert (client.status, client.end) == (503, "whole")
    error = json.loads(client.body)["error"]
    assert (error["code"], error["param"], error["type"]) == (code, "model", "server_error")
    assert b"retry-after: 2\r\n" in client.head, "sooner than it can be would be a lie"
    house.check_empty()
    (record,) = house.records
    assert (record.outcome, record.code, record.status, record.attempts) == (outcome, code, 503, 0)


def test_a_line_tells_the_tokens_that_the_last_attempt_told_of() -> None:
    house = House(start, lambda request: start(request, 2))
    counts = b'{"prompt_tokens":%d,"completion_tokens":2,"total_tokens":9,%b}'
    usage = b'data: {"choices":[],"usage":' + counts + b"}\n\n"
    first = usage % (9, b'"prompt_tokens_details":{"cached_tokens":8}')
    house.target.steps = [
        [HEAD, (1.0, first), (0.0, RESET)],
        [HEAD, (1.0, text("a") + STOP + usage % (5, b'"prompt_cache_hit_tokens":3') + DONE)],
    ]
    house.chat()
    house.loop.run(5.0)
    (record,) = house.records
    assert (record.attempts, record.outcome) == (2, "success")
    told = record.prompt_tokens, record.completion_tokens, record.cached_tokens
    assert told == (5, 2, 3)
    assert [event.tokens for event in house.settled()] == [11, 7]


def test_each_attempt_is_put_down_with_its_times_and_what_it_cost() -> None:
    """The first dies 1 s after its head and is billed all the same; a second answers."""
    house = House(start, lambda request: start(request, 2))
    counts = b'{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}'
    usage = b'data: {"choices":[],"usage":' + counts + b"}\n\n"
    house.target.steps = [
        [(0.5, HEAD[1]), (1.0, usage), (0.0, RESET)],
        [(0.25, HEAD[1]), (1.0, text("a") + STOP + DONE)],
    ]
    house.chat()
    house.loop.run(5.0)
    first, second = house.done[0].tried
    assert (first.fault, first.first, first.head) == ("reset", None, 0.5)
    assert (first.began, first.ended) == (0.0, 1.5)
    assert (first.prompt_tokens, first.completion_tokens) == (9, 2)
    assert (second.fault, second.first, second.head) == ("none", 1.25, 0.25)
    assert (second.began, second.ended, second.estimated) == (1.5, 2.75, True)
    assert (first.number, second.number, first.estimated) == (1, 2, False)


def test_an_attempt_s_longest_silence_is_put_down_where_it_is_worth_a_word() -> None:
    """What comes before the first content is none, and neither is a pause of a moment."""
    house = House(start, start, start)
    whole = text("c") + STOP + DONE
    house.target.steps = [
        [HEAD, (5.0, text("a")), (0.5, text("b")), (0.5, whole)],
        [HEAD, (5.0, text("a")), (7.0, text("b")), (2.0, whole)],
        [HEAD, (1.0, text("a")), (3.0, RESET)],
    ]
    for _ in house.target.steps:
        house.chat()
        house.target.calls[-1].connected = 0.125
        house.loop.run(20.0)
    tried = [each for done in house.done for each in done.tried]
    assert [round(each.silence) for each in tried] == [0, 7, 3]
    assert [each.connected for each in tried] == [0.125] * 3


def test_an_attempt_whose_client_left_is_put_down_too() -> None:
    house = House(start)
    house.target.steps = [[HEAD, (1.0, text("a")), (5.0, DONE)]]
    client = house.chat()
    house.loop.run(2.0)
    assert client.handler is not None
    client.handler.gone()
    (attempt,) = house.done[0].tried
    assert (attempt.fault, attempt.first) == ("client_left", 1.0)


def test_a_refusal_after_an_attempt_is_what_the_core_counts_it_as() -> None:
    said = refused("model_not_found")
    house = House(start, lambda request: structs.replace(said, request=request))
    house.target.steps = [[(0.0, (404, JSON)), (0.0, b"{}")]]
    client = house.chat()
    house.loop.run(5.0)
    assert client.end == "whole"
    (record,) = house.records
    assert (record.attempts, record.code, record.outcome) == (1, "model_not_found", "refused")


def test_nobody_is_told_to_ask_again_at_once() -> None:
    house = House(
        lambda request: structs.replace(refused("busy", retry_after=0.0), request=request)
    )
    assert b"retry-after: 1\r\n" in house.chat().head


def test_a_401_says_how_to_authenticate() -> None:
    house = House(lambda request: structs.replace(refused("bad", 401), request=request))
    assert b"www-authenticate: Bearer\r\n" in house.chat().head


def arrivals(house: House, *asked: dict[str, str]) -> list[RequestArrived]:
    """Have a client ask once with each of some headers; return what the core was told."""
    for headers in asked:
        house.orders.append(partial(refusal, fault=Fault.CONNECT))
        house.chat(headers=headers)
    return [event for _, event in house.events if isinstance(event, RequestArrived)]


def test_the_core_gets_a_number_for_a_conversation_that_names_it_to_nobody() -> None:
    same = {"x-supervisor-session": "my secret plan"}
    house = House()
    one, two, other, none = arrivals(house, same, same, {"x-session-id": "s2"}, {})
    assert one.session == two.session > 0
    assert len({one.session, other.session}) == 2
    assert (none.session, none.mid_turn) == (0, False)
    again = arrivals(House(), same)[0]
    assert again.session != one.session, "another run knows nothing of this one"


def test_a_body_names_a_conversation_and_whose_turn_it_is() -> None:
    house = House(partial(refusal, fault=Fault.CONNECT))
    messages = [*HELLO, {"role": "tool", "tool_call_id": "c", "content": "42"}]
    house.chat(prompt_cache_key="s1", messages=messages)
    [arrived] = arrivals(house)
    assert arrived.session > 0
    assert arrived.mid_turn


def test_an_order_that_comes_later_is_obeyed_in_the_next_turn() -> None:
    house = House(None)
    house.target.steps = [[HEAD, (1.0, text("a") + STOP + DONE)]]
    client = house.chat()
    house.loop.run(5.0)
    assert not house.target.calls
    house.perform(start(house.exchange(client).request))
    assert not house.target.calls, "the conductor is at work: nothing of a request runs in it"
    house.loop.run(1.0)
    assert client.end == "whole"
    house.check_empty()


def test_orders_for_one_that_is_gone_are_dropped() -> None:
    house = House(None)
    client = house.chat()
    request = house.exchange(client).request
    house.perform(start(request))
    assert client.handler is not None
    client.handler.gone()
    house.perform(refusal(request))
    house.perform(CancelAttempt(request=request, attempt=1, fault=Fault.STATE_LOST))
    house.check_empty()
    assert (house.target.calls, client.head) == ([], b"")


def test_a_failed_attempt_costs_the_client_nothing() -> None:
    house = House(start, lambda request: start(request, 2))
    house.target.steps = [
        [(0.0, (500, JSON)), (0.5, b'{"error":{"message":"boom"}}'), (0.0, END)],
        [HEAD, (1.0, text("a") + STOP + DONE)],
    ]
    client = house.chat(stream=False)
    house.loop.run(3.0)
    assert (client.status, client.end) == (200, "whole")
    assert b"x-supervisor-target: n:2\r\nx-supervisor-attempts: 2\r\n" in client.head
    assert [event.failure.fault for event in house.settled()] == [Fault.SERVER_ERROR, Fault.NONE]
    (record,) = house.records
    assert (record.target, record.attempts, record.ttft) == ("n:2", 2, 1.5)
    house.check_empty()


def test_a_line_tells_how_much_of_a_prompt_was_cached() -> None:
    usage = (
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,'
        b'"prompt_tokens_details":{"cached_tokens":8}}}\n\n'
    )
    house = House(start)
    house.target.steps = [[HEAD, (0.0, text("a") + STOP + usage + DONE)]]
    house.chat()
    house.loop.run(1.0)
    (record,) = house.records
    assert (record.prompt_tokens, record.cached_tokens, record.dialect) == (9, 8, "openai")


def test_an_answer_of_a_sort_that_was_not_asked_for_fails_over() -> None:
    """Embeddings are never streamed: nobody could read them so."""
    house = House(*(partial(start, attempt=n, generation=None) for n in (1, 2)))
    house.target.steps = [[HEAD, (0.0, text("a"))], [HEAD, (0.0, text("a"))]]
    chat = structs.replace(a_chat(), kind="embeddings", fields={"input": Raw(b'"hi"')})

    def read(_: bytes, __: object) -> ChatRequest:
        return chat

    operation = structs.replace(OPERATIONS["/v1/chat/completions"], read=read)
    browser = Browser(house.loop)
    dispatch = DispatchHead(begun())
    dispatch.operation = operation
    browser.handler = house.ingress.begin(browser, dispatch, None)
    browser.handler.end()
    house.loop.run(1.0)
    assert browser.status == 502
    assert [one.failure.fault for one in house.settled()] == [Fault.CONTENT_TYPE] * 2
    house.check_empty()


def test_many_attempts_that_fail_at_once_each_have_their_end() -> None:
    starts = [partial(start, attempt=n, generation=None) for n in range(1, 9)]
    house = House(*starts, keys={f"n:{n}": ("two\nlines",) for n in range(9)})
    client = house.chat()
    assert (client.status, house.target.calls) == (502, [])
    assert [event.failure.fault for event in house.settled()] == [Fault.BAD_KEY] * 8
    assert house.records[0].egress_bytes == 0, "of what was never sent nothing left the house"
    house.check_empty()


@pytest.mark.parametrize(
    ("asked", "said", "failure"),
    [
        ({}, "Unrecognized request argument supplied: stream_options", "stream_options"),
        ({"temperature": 1}, "Unsupported parameter: 'temperature'", "temperature"),
        ({}, "Unsupported parameter: 'temperature'", None),
        ({"reasoning_effort": "low"}, "Unsupported parameter: 'reasoning_effort'", None),
        ({"max_tokens": 9}, "'max_tokens' is unsupported, use 'max_completion_tokens' instead",
         "max_tokens"),
        ({}, "'max_tokens' is unsupported, use 'max_completion_tokens' instead", None),
    ],
)  # fmt: skip
def test_what_was_refused_by_name_may_be_left_out_where_it_was_asked_for(
    asked: dict[str, Any], said: str, failure: str | None
) -> None:
    """An effort that the client named itself is its own; one that was not there is not to blame."""
    house = House(lambda request: start(request, generation=None))
    error = msgspec.json.encode({"error": {"message": said}})
    house.target.steps = [[(0.0, (400, JSON)), (0.0, error), (0.0, END)]]
    house.chat(**asked)
    house.loop.run(1.0)
    [event] = house.settled()
    fault = Fault.UNSUPPORTED if failure is None else Fault.FIELD_REFUSED
    assert event.failure.fault is fault
    if failure is not None:
        assert event.failure.field == failure


def test_what_is_left_out_of_a_clients_fields_is_said() -> None:
    without = frozenset({"temperature", "top_p", "stop"})
    house = House(lambda request: structs.replace(start(request, generation=None), without=without))
    with capture_logs() as logs:
        house.chat(temperature=0.5, seed=1, stop=["x"])
    [line] = [line for line in logs if line["event"] == "field_dropped"]
    facts = {name: line[name] for name in ("target", "model", "field")}
    assert facts == {"target": "n:1", "model": "m", "field": "temperature"}
    [call] = house.target.calls
    sent = json.loads(call.body)
    assert "temperature" not in sent
    assert (sent["seed"], sent["stop"]) == (1, ["x"]), "what changes the answer stays"


def test_a_declined_request_is_told_apart_by_its_body() -> None:
    house = House(lambda request: start(request, generation=None))
    house.target.steps = [[(0.0, (403, JSON)), (0.0, END)]]
    house.chat()
    house.loop.run(1.0)
    (event,) = house.settled()
    assert event.failure.fault is Fault.DECLINED
    assert event.body


@pytest.mark.parametrize("leaves", [False, True])
def test_what_is_reserved_begins_once_that_is_written_down_unless_its_client_left(
    *, leaves: bool
) -> None:
    written: list[tuple[Reservation, Callable[[], None]]] = []
    house = House(lambda request: structs.replace(start(request), reserved=7))

    def reserve(row: Reservation, then: Callable[[], None]) -> None:
        written.append((row, then))

    context = structs.replace(house.ingress.context, reserve=reserve)
    house.ingress = structs.replace(house.ingress, context=context)
    client = house.chat()
    [(row, then)] = written
    assert (row.request_id, row.attempt) == (house.exchange(client).request, 1)
    assert (row.provider, row.model, row.client, row.amount) == ("n:1", "m", "default", 7)
    assert not house.target.calls
    assert client.handler is not None
    if leaves:
        client.handler.gone()
    for _ in range(2):
        then()
    assert len(house.target.calls) == (0 if leaves else 1)
    client.handler.gone()
    house.check_empty()


@pytest.mark.parametrize(
    ("generation", "local", "leaves"),
    [(None, False, True), (None, True, False), ("C", False, False)],
)
def test_only_what_goes_to_a_provider_outside_leaves_the_house(
    generation: Generation | None, *, local: bool, leaves: bool
) -> None:
    def order(request: RequestId) -> StartAttempt:
        return structs.replace(start(request, generation=generation), local=local)

    house = House(order)
    house.target.steps = [[HEAD, (0.0, text("a") + STOP + DONE)]]
    house.chat()
    house.loop.run(1.0)
    size, record = len(house.target.calls[0].body), house.records[0]
    assert record.egress_bytes == (size if leaves else 0)
    assert record.egress == ({"n:1": size} if leaves else msgspec.UNSET)


def test_a_wait_that_the_body_names_is_told_to_the_core() -> None:
    busy = b'data: {"error":{"message":"slow down","code":429,"retry_after":9}}\n\n'
    house = House(start)
    house.target.steps = [[HEAD, (0.0, busy)]]
    house.chat()
    house.loop.run(1.0)
    (event,) = house.settled()
    assert event.body == 0, "only what was declined is told by its body"
    assert event.failure == Failure(Fault.BUSY, "slow down", 0, 9.0, loggable="slow down")


# Answers that another target goes on with


def continued(*second: tuple[float, bytes], first: bytes = text("one ")) -> tuple[House, Browser]:
    house = House(
        lambda request: start(request, continues=True),
        lambda request: start(request, 2, continues=True, resumes=True),
    )
    house.target.steps = [[HEAD, (1.0, first), (1.0, RESET)], [HEAD, *second]]
    client = house.chat()
    house.loop.run(10.0)
    return house, client


def test_an_answer_that_breaks_off_is_gone_on_with_under_one_head() -> None:
    house, client = continued((1.0, text("two")), (1.0, STOP + DONE))
    assert (client.end, client.status) == ("whole", 200)
    assert b"x-supervisor-target: n:1" in client.head
    assert client.body.count(b'"content"') == 2
    assert b'"continued":[{"target":"n:2","after":1}]' in client.body
    assert json.loads(house.target.calls[1].body)["messages"][-1] == {
        "role": "assistant", "content": "one ",
    }  # fmt: skip
    first, second = house.settled()
    assert (first.failure.fault, first.committed, first.resumable) == (Fault.RESET, True, True)
    assert (second.failure.fault, second.committed) == (Fault.NONE, True)
    (record,) = house.records
    assert (record.outcome, record.continued, record.target) == ("success", 1, "n:2")
    house.check_empty()


def test_one_that_would_not_go_on_is_not_who_broke_it_off() -> None:
    house, client = continued(
        (1.0, text("one and anew, from its very beginning, at quite some length"))
    )
    assert client.end == "cut"
    assert b"n:1 broke off after 1 pieces of its answer (reset)" in client.got[-1]
    (record,) = house.records
    assert (record.outcome, record.code, record.target) == ("failure", "attempts_failed", "n:1")
    house.check_empty()


def test_a_deadline_that_passes_before_the_second_says_a_word_is_told_of_it() -> None:
    house = House(
        lambda request: start(request, continues=True),
        lambda request: start(request, 2, continues=True, resumes=True),
    )
    house.target.steps = [[HEAD, (1.0, text("one ")), (1.0, RESET)], []]
    client = house.chat(headers={"x-supervisor-deadline": "4"})
    house.loop.run(5.0)
    assert client.end == "cut"
    assert b"the deadline passed after 0 pieces of its answer" in client.got[-1]
    house.check_empty()


def test_a_line_counts_what_was_malformed_in_all_attempts_and_says_who_is_of_the_house() -> None:
    house = House(
        lambda request: structs.replace(start(request), local=True),
        lambda request: start(request, 2),
    )
    odd = b"data: {nonsense\n\n"
    house.target.steps = [
        [HEAD, (0.0, odd * 2), (0.0, RESET)], [HEAD, (0.0, odd + text("a") + STOP + DONE)],
    ]  # fmt: skip
    house.chat()
    house.loop.run(5.0)
    assert (house.records[0].malformed, house.records[0].local) == (3, msgspec.UNSET)


def test_an_answer_that_nobody_may_go_on_with_is_cut() -> None:
    house = House(start)
    house.target.steps = [[HEAD, (1.0, text("a")), (1.0, ERROR)]]
    client = house.chat()
    house.loop.run(3.0)
    assert (client.end, [event.resumable for event in house.settled()]) == ("cut", [False])
    assert json.loads(client.got[-1].removeprefix(b"data: "))["error"]["code"] == "attempts_failed"
    house.check_empty()


# Who leaves


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "steps",
    [
        [],
        [(0.0, (500, JSON)), (0.0, b"half")],
        [HEAD],
        [HEAD, (0.5, text("a"))],
    ],
    ids=["no head", "half an error", "a head", "content"],
)
def test_who_leaves_takes_everything_along(steps: list[Step], *, stream: bool) -> None:
    house = House(start)
    house.target.steps = [steps]
    client = house.chat(stream=stream)
    house.loop.run(1.0)
    assert client.handler is not None
    client.handler.gone()
    assert [call.end for call in house.target.calls] == ["closed"]
    ends = [
        type(event) for _, event in house.events
        if isinstance(event, AttemptSettled | RequestEnded)
    ]  # fmt: skip
    assert ends == [RequestEnded]
    assert [record.outcome for record in house.records] == ["abandoned"]
    client.handler.gone()
    client.handler.writable()
    house.check_empty()


def test_who_leaves_while_it_waits_for_an_order_is_told_of() -> None:
    house = House(None, head=15.0)
    client = house.chat()
    house.loop.run(20.0)
    assert client.got == [KEEP_ALIVE]
    assert client.handler is not None
    client.handler.gone()
    assert [type(event) for _, event in house.events] == [RequestArrived, RequestEnded]
    assert house.events[-1][1] == RequestEnded(request=RequestId(house.records[0].request_id))
    house.check_empty()


def test_who_leaves_with_most_of_its_answer_unread_had_no_success() -> None:
    house = House(start)
    house.target.steps = [[HEAD, (0.5, text("a")), (0.5, LONG_END)]]
    client = house.chat(blocks={1: 30.0})
    house.loop.run(2.0)
    assert client.handler is not None
    client.handler.gone()
    assert [record.outcome for record in house.records] == ["abandoned"]
    assert (house.ended, house.records[0].ttft) == (1, 0.5)
    house.loop.run(30.0)
    house.check_empty()


# Faults of our own


@pytest.mark.parametrize(
    ("breaks", "status"),
    [(RequestArrived, 500), (ContentSeen, 500), (AttemptQuieted, 500), (AttemptSettled, 200)],
)
def test_a_fault_of_our_own_is_told_and_ends_one_request(breaks: type[object], status: int) -> None:
    """The machine broke under it: what asks it afterwards ends, too, and in the same way."""
    house = House(start, start)
    house.target.steps = [[HEAD, (12.0, text("a")), (1.0, STOP + DONE)]]
    house.breaks = (breaks,)
    with capture_logs() as lines:
        client = house.chat()
        house.loop.run(20.0)
    assert client.status == status
    assert [line["event"] for line in lines] == ["request_crashed"]
    assert "ZeroDivisionError < tests.serve.virtual" in lines[0]["crash"][0]
    (record,) = house.records
    assert (record.outcome, record.code) == ("failure", "internal")
    house.check_empty()


def test_texts_of_a_stream_go_whole_from_the_third_on_and_all_else_is_parsed() -> None:
    house = House(start)
    words = [(0.1, text(word)) for word in "abcdefgh"]
    house.target.steps = [
        [HEAD, *words[:5], (0.1, b": a comment\n\n"), *words[5:], (0.1, STOP), (0.1, END)]
    ]
    client = house.chat()
    house.loop.run(3.0)
    assert house.target.calls[0].taken == 6
    assert re.findall(rb'"content":"(.)"', client.body) == [b"%c" % word for word in b"abcdefgh"]
    assert client.end == "whole"


def test_a_fault_of_our_own_in_the_midst_of_an_answer_cuts_it() -> None:
    def hide(told: str) -> str:
        raise ValueError(told)

    house = House(lambda request: start(request, generation=None), head=5.0, hide=hide)
    named = text("b").replace(b'{"choices"', b'{"model":"secret","choices"')
    house.target.steps = [[HEAD, (1.0, text("a")), (1.0, named)]]
    with capture_logs() as lines:
        client = house.chat()
        other = house.chat()
        house.loop.run(3.0)
    assert (client.end, house.ended) == ("cut", 1)
    assert b'"internal"' in client.got[-1]
    assert b"secret" not in client.body
    assert "secret" not in str(lines)
    assert other.handler is not None
    other.handler.gone()
    house.check_empty()


def test_a_fault_of_our_own_while_a_client_has_yet_to_take_its_answer_cuts_it() -> None:
    house = House(start)
    house.target.steps = [[HEAD, (0.5, text("a")), (0.5, LONG_END)]]
    client = house.chat(blocks={1: inf})
    house.loop.run(2.0)
    assert client.handler is not None
    with capture_logs() as lines:
        client.handler.crash(ZeroDivisionError())
        client.handler.crash(ZeroDivisionError())
    assert (client.end, len(lines)) == ("abort", 2)
    assert [record.code for record in house.records] == ["internal"]
    assert client.handler.due(house.loop.now) is False
    house.check_empty()


def test_a_request_that_is_over_does_nothing_any_more() -> None:
    house = House(start)
    house.target.steps = [[HEAD, (0.5, text("a") + STOP + DONE)]]
    client = house.chat()
    exchange = house.exchange(client)
    house.loop.run(1.0)
    told = len(house.events)
    exchange.take(start(exchange.request, 2))
    exchange.gone()
    assert (client.end, len(house.target.calls), len(house.events)) == ("whole", 1, told)
    assert [record.outcome for record in house.records] == ["success"]
    house.check_empty()


def test_a_client_that_reads_before_anybody_was_asked_for_it_changes_nothing() -> None:
    house = House(None)
    client = house.chat()
    assert client.handler is not None
    client.handler.writable()
    assert (client.got, client.end, len(house.events)) == ([], "", 1)
    client.handler.gone()
    house.check_empty()


def test_a_good_head_has_no_failure_to_be_told_of() -> None:
    with pytest.raises(ValueError, match="nothing is wrong"):
        ErrorAnswer(200, SSE).judge(exo=False)


# The table of requests under way


def test_a_target_lived_when_the_last_of_its_answers_made_progress() -> None:
    house = House(start, start, lambda request: start(request, 2))
    house.target.steps = [
        [HEAD, (1.0, text("a"))], [HEAD, (2.0, text("a"))], [HEAD, (3.0, text("a"))],
    ]  # fmt: skip
    n, other = Address("n:1"), Address("n:2")
    clients = [house.chat() for _ in range(3)]
    house.loop.run(0.5)
    assert house.live.lived_at(n) is None, "a head is no progress"
    house.loop.run(1.0)
    first = house.live.lived_at(n)
    assert first == pytest.approx(house.began + 1.25, abs=0.25)
    house.loop.run(1.0)
    assert house.live.lived_at(n) == pytest.approx(house.began + 2.25, abs=0.25)
    assert house.live.lived_at(other) is None
    reading = house.live.reading(house.exchange(clients[0]).request)
    assert reading is not None
    assert reading.tokens == 1
    for client in clients:
        assert client.handler is not None
        client.handler.gone()
    assert house.live.lived_at(n) is None
    assert house.live.reading(RequestId("unknown")) is None
    house.check_empty()


def test_of_many_descriptors_that_are_missing_one_line_a_minute_tells() -> None:
    full = HttpError(NetworkFault.EXHAUSTED, Stage.CONNECT)
    house = House(start, start, start)
    house.orders = [start, None, start, None, start, None]
    house.target.steps = [[(0.0, full)]] * 3
    with capture_logs() as lines:
        for _ in range(2):
            house.chat()
            house.loop.run(1.0)
        house.loop.run(60.0)
        house.chat()
        house.loop.run(1.0)
    assert [line["event"] for line in lines] == ["descriptors_exhausted"] * 2


def test_what_a_provider_asks_is_summed_up_and_rounded_once() -> None:
    """1,000 tokens at 3 and 100 at 15 a million are 4,500 millionths; Exo's tokens cost nothing."""
    price = Priced((Match("equals", "m"),), (Dated(Price(input=3_000_000, output=15_000_000)),))
    counts = b'{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}'
    usage = b'data: {"choices":[],"usage":' + counts + b"}\n\n"
    cases: list[tuple[Generation | None, int | None]] = [(None, 4500), ("C", None)]
    for generation, cost in cases:
        first = structs.replace(
            start(RequestId("r")), target="p", model=ModelId("m"), generation=generation
        )
        house = House(
            lambda request, first=first: structs.replace(first, request=request),
            keys={"p": (None,)},
            prices=Prices({}, {"p": [price]}),
        )
        house.target.steps = [[HEAD, (1.0, text("a") + STOP + usage + DONE)]]
        house.chat()
        house.loop.run(5.0)
        assert house.records[0].cost_microdollars == cost


def test_a_trace_goes_on_to_the_target_and_into_the_record() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"traceparent": parent, "tracestate": "a=1"}
    for generation in ("C", None):
        house = House(partial(start, generation=generation))
        house.target.steps = [[HEAD, (0.0, text("a") + STOP + DONE)]]
        house.chat(headers=headers)
        house.loop.run(1.0)
        head = house.target.calls[0].head
        assert f"traceparent: {parent}\r\n".encode() in head
        assert (b"tracestate" in head) == (generation == "C"), "what others wrote stays at home"
        (done,) = house.done
        assert done.trace is not None
        assert (done.trace.parent, done.kind, done.streamed) == (parent, "chat", True)


def test_a_malformed_trace_is_no_error() -> None:
    house = House(start)
    house.target.steps = [[HEAD, (0.0, text("a") + STOP + DONE)]]
    assert house.chat(headers={"traceparent": "00-x", "tracestate": "a=1"}).status == 0
    house.loop.run(1.0)
    assert b"trace" not in house.target.calls[0].head
    assert (house.done[0].trace, house.done[0].line.outcome) == (None, "success")


LARGE = text("x" * (2 * FREE_BYTES))


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ([text("a") + STOP + DONE], "success"),
        ([text("a"), LARGE, LARGE[:-1], LARGE[-1:], STOP + DONE], "success"),
        ([text("a") + ERROR], "failure"),
        ([], "abandoned"),
    ],
    ids=["whole", "large", "failed", "left"],
)
def test_a_request_that_is_over_leaves_nothing_to_the_garbage_collector(
    said: list[bytes], outcome: str, *, stream: bool, hold: bool
) -> None:
    """It would hold on to thousands of them, and to all that they hold."""
    house = House(partial(start, hold=hold))
    house.target.steps = [[HEAD, *((0.0, each) for each in said)]]
    kinds = (Reception, Exchange, Attempt, Relay, Backpressure, Response)
    gc.collect()
    before = {id(each) for each in gc.get_objects() if isinstance(each, kinds)}
    gc.disable()
    try:
        client = house.chat(stream=stream)
        house.loop.run(1.0)
        if client.handler is not None:
            client.handler.gone()
        client.handler = None
        house.target.calls.clear()
        now = [each for each in gc.get_objects() if isinstance(each, kinds)]
        left = [type(each).__name__ for each in now if id(each) not in before]
    finally:
        gc.enable()
    assert [record.outcome for record in house.records] == [outcome]
    assert left == []
