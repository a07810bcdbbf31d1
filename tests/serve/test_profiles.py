"""An unmodified ai-token-manager is answered so that it never gives the house up."""

import json
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from exo_supervisor.core.effects import Refuse, StartAttempt, Timers
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import ClientRule
from exo_supervisor.http.head import Head
from exo_supervisor.serve.clients import Clients, Who
from exo_supervisor.serve.profiles import TOKEN_MANAGER, without_words
from exo_supervisor.serve.token import Guard
from tests.serve.virtual import JSON, RESET, SSE, Browser, House, Said, start

MANAGER = ClientRule("manager", profile=TOKEN_MANAGER)
PATIENT = Timers(
    connect=2.0, headers=inf, first_content=900.0, first_content_max=900.0, stall=900.0
)
SILENCE = 60.0
"""Seconds without a byte after which it hangs up."""
WORDS = ("quota", "402", "429")
"""What makes it go elsewhere, and stay there, in the text of any error."""
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def served(request: RequestId) -> StartAttempt:
    return start(request, generation=None, timers=PATIENT)


def house(*steps: tuple[float, Said]) -> House:
    built = House(served)
    built.rule = MANAGER
    built.target.steps = [list(steps)]
    return built


def answer(**more: object) -> bytes:
    message = {"role": "assistant", "content": "yes"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return json.dumps({"model": "m", "choices": choices, **more}).encode()


def latches(browser: Browser) -> bool:
    """Say whether it would use no more what answers so, or go elsewhere."""
    text = browser.body.decode().lower()
    return browser.status in (401, 402, 429) or (
        browser.status >= 400 and any(word in text for word in WORDS)
    )


def test_it_never_waits_so_long_that_it_hangs_up_and_blanks_change_no_answer() -> None:
    built = house((200.0, (200, JSON)), (0.0, answer(usage=USAGE)), (0.0, b""))
    browser = built.chat(stream=False)
    built.loop.run(201.0)
    assert (browser.status, browser.end) == (200, "whole")
    assert b"content-type: application/json" in browser.head
    assert all(later - sooner < SILENCE / 2 for sooner, later in pairwise([100.0, *browser.at]))
    body = json.loads(browser.body)
    assert (body["choices"][0]["message"]["content"], body["usage"]) == ("yes", USAGE)
    (record,) = built.records
    assert (record.outcome, record.client) == ("success", "manager")
    built.check_empty()


def test_others_that_wait_for_a_whole_answer_get_no_blanks() -> None:
    built = house((200.0, (200, JSON)), (0.0, answer(usage=USAGE)), (0.0, b""))
    built.rule = ClientRule("somebody")
    browser = built.chat(stream=False)
    built.loop.run(201.0)
    assert (len(browser.got), browser.length) == (1, len(browser.body))


def test_what_fails_after_the_first_blank_is_cut_and_so_no_answer() -> None:
    built = house((50.0, RESET))
    browser = built.chat(stream=False)
    built.loop.run(51.0)
    assert (browser.status, browser.end) == (200, "cut")
    assert browser.body.strip() == b""
    assert [record.code for record in built.records] == ["attempts_failed"]
    built.check_empty()


def test_its_streams_are_everybody_s() -> None:
    built = house((50.0, RESET))
    browser = built.chat(stream=True)
    built.loop.run(51.0)
    assert browser.body.startswith(b": keep-alive\n\n")
    assert b'data: {"error":' in browser.body
    assert browser.end == "cut"


ILL: list[dict[str, Any]] = [
    {},
    {"usage": None},
    {"usage": {"prompt_tokens": None, "completion_tokens": 2, "total_tokens": 5}},
    {"usage": {"prompt_tokens": "3", "completion_tokens": 2, "total_tokens": 5}},
    {"usage": {"completion_tokens": 2}},
    {"usage": []},
]


@pytest.mark.parametrize("more", ILL)
def test_usage_is_always_an_object_of_whole_numbers(more: dict[str, Any]) -> None:
    built = house((0.0, (200, JSON)), (0.0, answer(**more)), (0.0, b""))
    browser = built.chat(stream=False)
    built.loop.run(1.0)
    usage = json.loads(browser.body)["usage"]
    assert usage.pop("estimated") is True
    assert {type(value) for value in usage.values()} == {int}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


@pytest.mark.parametrize(
    ("said", "limit"),
    [({}, 2048), ({"max_tokens": 7}, 7), ({"max_completion_tokens": 9}, None)],
)
def test_it_gets_a_limit_where_it_sends_none(said: dict[str, Any], limit: int | None) -> None:
    built = house((0.0, (200, JSON)), (0.0, answer(usage=USAGE)), (0.0, b""))
    built.chat(stream=False, **said)
    built.loop.run(1.0)
    asked = json.loads(built.target.calls[0].body)
    assert asked.get("max_tokens") == limit
    assert asked.get("max_completion_tokens") == said.get("max_completion_tokens")


REFUSED = [
    (Refusal(402, "budget_spent", "the budget of today is spent"), 503),
    (Refusal(429, "rate_limited", "over 429 requests a minute", retry_after=4.0), 503),
    (Refusal(503, "overloaded", "request 4290 failed at :40211 (its Quota)"), 503),
    (Refusal(404, "model_not_found", "no model qUoTa-402-429"), 404),
    (Refusal(502, "attempts_failed", "HTTP 429 at a, 402 at b"), 502),
    (Refusal(400, "upstream_rejected", "quota\u0142 \u0432 402"), 400),
]


@pytest.mark.parametrize(("refusal", "status"), REFUSED)
def test_no_refusal_latches(refusal: Refusal, status: int) -> None:
    built = House(lambda request: Refuse(request=request, refusal=refusal))
    built.rule = MANAGER
    browser = built.chat(stream=False)
    assert not latches(browser)
    assert browser.status == status
    assert json.loads(browser.body)["error"]["code"] == refusal.code
    assert (b"retry-after" in browser.head) == (refusal.retry_after is not None)
    (record,) = built.records
    assert (record.status, record.code) == (status, refusal.code)


def test_what_is_wrong_with_a_body_does_not_latch_either() -> None:
    built = House()
    built.rule = MANAGER
    browser = Browser(built.loop)
    built.enter(browser, b'{"model": 429}')
    assert (browser.status, latches(browser)) == (400, False)


@pytest.mark.parametrize("text", [b"Quota", b"4029", b"429402", b"44299", b"quotaquota 4402"])
def test_the_words_are_gone_wherever_they_stand(text: bytes) -> None:
    assert not any(word.encode() in without_words(text).lower() for word in WORDS)


STRANGERS = [
    ("python-requests/2.32.5", MANAGER, 403),
    ("python-requests/2.32.5", ClientRule("kids"), 401),
    ("OpenAI/Python 3.57.0", MANAGER, 401),
]


@pytest.mark.parametrize(("agent", "rule", "status"), STRANGERS)
def test_a_token_that_is_not_known_latches_no_manager(
    agent: str, rule: ClientRule, status: int
) -> None:
    clients = Clients([Who(rule)])
    headers = {"host": "localhost:1", "authorization": "Bearer old", "user-agent": agent}
    head = Head(b"POST", b"/v1/chat/completions", headers, (), is_old=False)
    wrong = Guard(clients.of_token, clients.told).judge(head).wrong
    assert wrong is not None
    assert (wrong.status, wrong.code) == (status, "bad_token")


def test_a_stream_of_a_target_is_a_whole_answer_to_it() -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}]}\n\n'
    said = event % (b"yes", b"null") + event % (b"", b'"stop"') + b"data: [DONE]\n\n"
    built = house((40.0, (200, SSE)), (30.0, said), (0.0, b""))
    browser = built.chat(stream=False)
    built.loop.run(71.0)
    body = json.loads(browser.body)
    assert body["choices"][0]["message"]["content"] == "yes"
    assert (body["usage"]["completion_tokens"], browser.end) == (1, "whole")
