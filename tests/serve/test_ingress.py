"""A body is taken as far as there is room, and whoever is refused holds nothing any more."""

import json
from functools import partial
from math import ceil
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from exo_supervisor.core.outcomes import Fault, Refusal
from exo_supervisor.core.policy import ClientRule
from exo_supervisor.core.requests.bodies import MIN_AGE, SMALL_BODY
from exo_supervisor.http.head import Head
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.live import TICK
from exo_supervisor.serve.reception import BODY_TOTAL, BODY_WAIT, SLOWEST
from exo_supervisor.wire.table import ANSWERED, OPERATIONS
from tests.serve.test_attempt import after_the_timers
from tests.serve.virtual import HELLO, Browser, House, Loop, begun, refusal, start

ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


def told(client: Browser) -> tuple[int, str]:
    return client.status, json.loads(client.body)["error"]["code"]


def enter(
    house: House, headers: dict[str, str] | None = None, length: int | None = None,
    repeated: tuple[str, ...] = (),
) -> Browser:  # fmt: skip
    """Send the head of a request."""
    client = Browser(house.loop)
    client.handler = house.ingress.begin(client, DispatchHead(begun(headers, repeated)), length)
    return client


def send(client: Browser, *parts: bytes) -> None:
    assert client.handler is not None
    for part in parts:
        client.handler.data(part)


def end(client: Browser) -> None:
    assert client.handler is not None
    client.handler.end()


# Heads


@pytest.mark.parametrize(
    ("head", "refused"),
    [
        ({"length": 100_001}, (413, "body_too_large")),
        ({"headers": {"content-encoding": "compress"}}, (415, "unsupported_encoding")),
        ({"headers": {"content-encoding": "zstd, x"}}, (415, "unsupported_encoding")),
        ({"headers": {"x-supervisor-nonsense": "1"}}, (400, "bad_header")),
        ({"headers": {"x-supervisor-route": "moon"}}, (400, "bad_header")),
        (
            {"headers": {"x-supervisor-route": "exo, cloud"}, "repeated": ("x-supervisor-route",)},
            (400, "bad_header"),
        ),
    ],
)
def test_a_head_may_be_enough_to_refuse_a_request(
    head: dict[str, Any], refused: tuple[int, str]
) -> None:
    house = House()
    client = enter(house, **head)
    assert (told(client), client.end) == (refused, "whole")
    send(client, b"what comes of its body is passed over")
    end(client)
    assert client.handler is not None
    assert client.handler.due(house.loop.now) is False
    assert [(record.outcome, record.code, record.status) for record in house.records] == [
        ("refused", refused[1], refused[0])
    ]
    assert not house.events
    house.check_empty()


def test_what_is_known_to_be_wrong_refuses_a_request_and_has_its_line() -> None:
    house = House()
    client = Browser(house.loop)
    wrong = Refusal(401, "bad_token", "no")
    client.handler = house.ingress.begin(
        client, DispatchHead(begun({"expect": "100-continue"}), wrong), None
    )
    assert (told(client), client.continued) == ((401, "bad_token"), 0)
    assert len(house.records) == 1
    house.check_empty()


@pytest.mark.parametrize("path", [*OPERATIONS, *ANSWERED])
def test_a_line_tells_the_dialect_of_its_path_whatever_came_of_it(path: str) -> None:
    house, client = House(), Browser(Loop())
    refused = Refusal(401, "bad_token", "no")
    house.ingress.begin(client, DispatchHead(begun(path=path.encode()), refused), None)
    spoken = {"messages": "anthropic", "responses": "responses", "api": "ollama"}
    named = [dialect for part, dialect in spoken.items() if part in path.split("/")]
    assert [record.dialect for record in house.records] == (named or ["openai"])


@pytest.mark.parametrize("encoding", [None, "identity", "", "Identity, identity"])
def test_a_body_that_is_sent_as_it_is_may_come(encoding: str | None) -> None:
    house = House(None)
    headers = {} if encoding is None else {"content-encoding": encoding}
    client = enter(house, headers | {"expect": "100-continue"})
    assert client.continued == 1
    send(client, ASKED)
    end(client)
    assert house.events
    assert client.handler is not None
    client.handler.gone()
    house.check_empty()


# Bodies


@pytest.mark.parametrize("split", range(1, len(ASKED), 7))
def test_a_body_is_the_same_at_every_split(split: int) -> None:
    house = House(start)
    client = enter(house)
    send(client, ASKED[:split], ASKED[split:])
    assert house.gate.bodies.held == len(ASKED)
    end(client)
    assert (house.gate.bodies.sending, house.gate.requests) == (0, 1)
    assert json.loads(house.target.calls[0].body)["model"] == "m"


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ((b"",), (400, "bad_json")),
        ((b"{",), (400, "bad_json")),
        ((b"\xff",), (400, "bad_json")),
        ((b'{"model":"m","messages":[]}',), (400, "empty_messages")),
        ((b"x" * 60_000, b"x" * 60_000), (413, "body_too_large")),
    ],
)
def test_a_body_that_cannot_be_served_is_refused(
    body: tuple[bytes, ...], refused: tuple[int, str]
) -> None:
    house = House()
    client = enter(house)
    send(client, *filter(None, body), *([b"more"] if refused[0] == 413 else []))
    end(client)
    assert told(client) == refused
    assert len(house.records) == 1
    house.check_empty()


@pytest.mark.parametrize(
    ("path", "more"), [(b"/v1/chat/completions", {}), (b"/v1/messages", {"max_tokens": 9})]
)
def test_who_is_held_to_some_models_has_no_broker_choose_others(
    path: bytes, more: dict[str, object]
) -> None:
    """In whichever dialect the client says it."""
    for held, code in (((), 502), (("m",), 403)):
        house = House(partial(refusal, fault=Fault.RESET))
        house.rule = ClientRule("kids", models=held)
        body = json.dumps({"model": "m", "messages": HELLO, "models": ["x"], **more}).encode()
        client = Browser(house.loop)
        dispatch = DispatchHead(begun(path=path), None, house.rule)
        client.handler = house.ingress.begin(client, dispatch, len(body))
        send(client, body)
        end(client)
        assert client.status == code
        house.check_empty()


def test_a_body_whose_framing_is_broken_is_the_clients_fault() -> None:
    house = House()
    client = enter(house)
    send(client, b"{")
    assert client.handler is not None
    client.handler.broken()
    client.handler.broken()
    assert told(client) == (400, "bad_http")
    house.check_empty()
    assert len(house.records) == 1


def test_who_leaves_in_the_midst_of_its_body_is_told_of_once() -> None:
    house = House()
    client = enter(house)
    send(client, b"{")
    assert client.handler is not None
    client.handler.writable()
    client.handler.gone()
    client.handler.gone()
    assert [(record.outcome, record.status) for record in house.records] == [("abandoned", 0)]
    assert client.head == b""
    house.check_empty()


def test_a_full_house_lets_nobody_in() -> None:
    house = House(None, max_requests=1)
    first = house.chat()
    assert told(enter(house)) == (503, "overloaded")
    assert first.handler is not None
    first.handler.gone()
    late = enter(house)
    send(late, ASKED)
    second = house.chat()
    assert not second.end
    end(late)
    assert told(late) == (503, "overloaded")
    assert b"retry-after: 1\r\n" in late.head
    assert second.handler is not None
    second.handler.gone()
    house.check_empty()


def test_a_slow_body_makes_room_for_a_faster_one_and_says_so() -> None:
    house = House(max_body=2**40)
    slow = enter(house)
    send(slow, b"x" * SMALL_BODY, *[b"y" * 2**20] * 60)
    house.loop.run(MIN_AGE + 20.0)
    fast = enter(house)
    send(fast, *[b"z" * 2**24] * 7)
    assert told(slow) == (503, "overloaded")
    assert b"more slowly" in slow.body
    assert not fast.end
    assert fast.handler is not None
    fast.handler.gone()
    house.check_empty()


def test_a_body_as_large_as_may_be_is_taken_to_its_last_byte() -> None:
    for announced in (100_000, None):
        house = House(max_body=100_000)
        client = enter(house, length=announced)
        send(client, b"x" * 99_999, b"x")
        assert not client.end
        if announced is None:
            send(client, b"x")
            assert told(client) == (413, "body_too_large")
        else:
            assert client.handler is not None
            client.handler.gone()
        house.check_empty()


# How long a body may take


def test_a_body_that_does_not_go_on_is_waited_for_with_a_bound() -> None:
    house = House()
    client = enter(house)
    house.loop.run(10.0)
    send(client, b"{")
    house.loop.run(BODY_WAIT - 1.0)
    assert not client.end
    house.loop.run(1.0 + 3 * TICK)
    assert told(client) == (400, "bad_http")
    assert b"nothing more of the body came for 30 seconds" in client.body
    house.check_empty()


def ends_after(size: int, seconds: int = 400) -> int:
    """Send a part each second, and return after how many it was refused."""
    house = House(max_body=2**40)
    client = enter(house)
    for second in range(seconds):
        house.loop.run(1.0)
        if client.end:
            assert b"did not all come within 60 seconds" in client.body
            house.check_empty()
            return second
        send(client, b"x" * size)
    assert client.handler is not None
    client.handler.gone()
    return seconds


def test_a_body_may_take_as_long_as_it_comes_at_a_bearable_pace() -> None:
    assert ends_after(SLOWEST) == 400
    came = ends_after(SLOWEST // 4)
    assert came in (79, 80, 81)
    assert ceil(BODY_TOTAL + came / 4) in (came, came + 1)
    assert ends_after(1) in (60, 61)


def test_what_came_of_a_body_while_the_process_stood_still_is_taken_before_it_is_judged() -> None:
    house = House(None)
    client = enter(house)
    send(client, ASKED[:9])
    house.loop.run(1.0)
    house.loop.jump(3600.0)

    def arrive() -> None:
        send(client, ASKED[9:])
        end(client)

    after_the_timers(house, arrive)
    house.loop.run(1.0)
    assert not client.end
    assert client.handler is not None
    assert client.handler.exchange is not None
    client.handler.gone()
    house.check_empty()


def test_a_fault_of_our_own_in_a_head_is_told_too() -> None:
    house = House()
    broken = Head(
        b"POST", b"/v1/chat/completions", {"content-encoding": cast("str", 7)}, (), is_old=False
    )
    client = Browser(house.loop)
    with capture_logs() as lines:
        client.handler = house.ingress.begin(client, DispatchHead(broken), None)
    assert told(client) == (500, "internal")
    assert [(record.outcome, record.code) for record in house.records] == [("failure", "internal")]
    assert [line["event"] for line in lines] == ["request_crashed"]
    house.check_empty()


# What no target is asked for

COUNT = b"/v1/messages/count_tokens?beta=true"


def count(house: House, body: bytes, **headers: str) -> Browser:
    client = Browser(house.loop)
    head = Head(b"POST", COUNT, headers, (), is_old=False)
    client.handler = house.ingress.begin(client, DispatchHead(head), len(body))
    send(client, body)
    end(client)
    return client


def test_tokens_are_counted_without_a_word_to_the_core_or_to_a_target() -> None:
    house = House()
    client = count(house, ASKED)
    assert (client.status, client.end) == (200, "whole")
    assert json.loads(client.body) == {"input_tokens": 6, "estimated": True}
    assert b"\r\nrequest-id: " in client.head
    assert not house.events
    assert not house.target.calls
    (record,) = house.records
    assert (record.outcome, record.attempts, record.status) == ("success", 0, 200)
    assert record.dialect == "anthropic"
    house.check_empty()


def test_what_cannot_be_counted_is_refused_as_anthropic_does() -> None:
    house = House()
    client = count(house, b'{"model":"m"}')
    error = json.loads(client.body)
    assert (client.status, error["type"], error["error"]["code"]) == (400, "error", "missing_field")
    assert error["error"]["type"] == "invalid_request_error"
    assert b"\r\nrequest-id: %b\r\n" % error["request_id"].encode() in client.head
    assert not house.events
    house.check_empty()
