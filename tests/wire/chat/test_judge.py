"""Response heads and error bodies, judged."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.wire.chat.judge import MOST_DETAILS, in_band, judge, media_of, said

RECORDINGS = Path(__file__).parents[2] / "recordings"
JSON = "application/json"


def judged(
    status: int,
    error: object = None,
    *,
    exo: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Failure:
    body = json.dumps(error).encode()
    found = judge(status, JSON, headers or {}, body, exo=exo, now_wall=1_700_000_000.0)
    assert found is not None
    return found


def openai(message: str, code: object = None) -> dict[str, object]:
    return {"error": {"message": message, "type": "t", "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "exo", "error", "fault"),
    [
        (429, False, None, Fault.BUSY),
        (503, True, None, Fault.BUSY),
        (529, False, None, Fault.BUSY),
        (500, True, {"detail": "Error processing prompt"}, Fault.SERVER_ERROR),
        (502, False, None, Fault.BAD_STATUS),
        (504, False, None, Fault.BAD_STATUS),
        (408, True, {"detail": "Request timed out"}, Fault.BAD_STATUS),
        (599, False, openai("rate limit"), Fault.BUSY),
        (600, False, openai("rate limit"), Fault.BAD_STATUS),
        (301, False, None, Fault.BAD_STATUS),
        (204, False, None, Fault.BAD_STATUS),
        (404, True, openai("No instance found for model x", 404), Fault.NOT_PLACED),
        (404, False, openai("no such model"), Fault.NOT_PLACED),
        (401, False, openai("bad key"), Fault.BAD_KEY),
        (402, False, None, Fault.BAD_KEY),
        (403, False, None, Fault.DECLINED),
        (401, True, None, Fault.REJECTED),
        (400, False, openai("nope"), Fault.REJECTED),
        (413, True, None, Fault.REJECTED),
        (418, True, None, Fault.REJECTED),
        (400, False, openai("x", "context_length_exceeded"), Fault.CONTEXT_LENGTH),
        (400, False, openai("maximum context length is 8192 tokens"), Fault.CONTEXT_LENGTH),
        (422, True, {"detail": "prompt is too long"}, Fault.CONTEXT_LENGTH),
        (400, True, {"detail": "Unsupported model: x with y"}, Fault.NOT_PLACED),
        (400, False, {"detail": "Unsupported model: x with y"}, Fault.NOT_PLACED),
    ],
)
def test_a_status_has_its_fault(status: int, exo: bool, error: object, fault: Fault) -> None:  # noqa: FBT001 - a column of the table
    assert judged(status, error, exo=exo).fault is fault


@pytest.mark.parametrize("media", ["text/event-stream", "Text/Event-Stream; charset=utf-8", JSON])
@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "identity"}])
def test_an_answer_worth_reading_is_no_fault(media: str, headers: dict[str, str]) -> None:
    assert judge(200, media, headers, b"", exo=True, now_wall=0.0) is None


@pytest.mark.parametrize(
    ("media", "headers"),
    [
        ("text/html", {}),
        ("", {}),
        ("application/x-ndjson", {}),
        (JSON, {"content-encoding": "gzip"}),
    ],
)
def test_another_kind_of_answer_is_a_fault(media: str, headers: dict[str, str]) -> None:
    found = judge(200, media, headers, b"", exo=False, now_wall=0.0)
    assert found is not None
    assert found.fault is Fault.CONTENT_TYPE


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0.5", 0.5),
        ("-1", None),
        ("nan", None),
        ("inf", 3600.0),
        ("999999999", 3600.0),
        ("soon", None),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:30 -0000", 10.0),
        ("Tue, 14 Nov 2000 22:13:30 GMT", 0.0),
        ("Tue, 14 Nov 9999 99:13:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_from_now(value: str, seconds: float | None) -> None:
    assert judged(429, headers={"Retry-After": value}).retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"retry-after-ms": "soon", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "Tue, 14 Nov 2023 12:00:10 GMT", "Date": "Tue, 14 Nov 2023 12:00:00 GMT"},
         10.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:30 GMT", "Date": "now"}, 10.0),
        ({"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, 3600.0),
    ],
)  # fmt: skip
def test_a_date_is_reckoned_from_the_answers_own(headers: dict[str, str], seconds: float) -> None:
    """A clock that is wrong by hours, ours or theirs, must not make a minute an hour."""
    assert judged(429, headers=headers).retry_after == seconds


def test_where_dates_cannot_be_read_none_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "email.utils", None)  # as if no descriptor were left for it
    assert judged(429, headers={"Retry-After": "Tue, 14 Nov 2023 22:13:30 GMT"}).retry_after is None
    assert judged(429, headers={"Retry-After": "5"}).retry_after == 5.0


@given(value=st.text())
def test_no_retry_after_raises(value: str) -> None:
    seconds = judged(429, headers={"Retry-After": value}).retry_after
    assert seconds is None or 0 <= seconds <= 3600


def test_the_upstreams_own_words_are_kept_short_and_plain() -> None:
    found = judged(400, openai("a\x00\nb\u202e" + "c" * 400, "odd"))
    assert found.message.startswith("a b c")
    assert len(found.message) == 300


def test_words_about_a_key_are_not_kept() -> None:
    found = judged(401, openai("wrong key: sk-made-up", "sk-made-up"))
    assert found.message == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("<!DOCTYPE html><p>Bad gateway", ""),
        ("the proxy said: <Html lang=de>x", "the proxy said:"),
        ("<?xml version=1?><Error/>", ""),
        ("no <|end|> or <headline> here", "no <|end|> or <headline> here"),
    ],
)
def test_a_page_is_no_message(words: str, told: str) -> None:
    assert judged(502, openai(words, "odd")).message == told


def test_what_fastapi_echoes_is_left_out() -> None:
    recorded = (RECORDINGS / "gen-b/solo/pre-model-int.response.http").read_bytes()
    body = recorded.partition(b"\r\n\r\n")[2]
    found = judge(422, JSON, {}, body, exo=True, now_wall=0.0)
    assert found == Failure(Fault.REJECTED, "model: Input should be a valid string", 422)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"error": "plain"}, "plain"),
        ("plain", "plain"),
        ([{"error": {"message": "listed"}}], "listed"),
        ({"object": "error", "message": "flat"}, "flat"),
        ({"detail": [{"msg": "no place"}]}, "no place"),
        ({"detail": ["odd"]}, "odd"),
        ({"error": {"detail": "deep"}}, "deep"),
        ({"error": 5}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_errors_of_many_shapes_are_understood(error: object, message: str) -> None:
    assert said(error).message == message


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 10_000])
def test_a_body_that_is_no_json_says_nothing(body: bytes) -> None:
    found = judge(502, "text/html", {}, body, exo=False, now_wall=0.0)
    assert found == Failure(Fault.BAD_STATUS, "", 502)


@pytest.mark.parametrize(
    ("error", "exo", "fault"),
    [
        (openai("boom", 500), True, Fault.ERROR_EVENT),
        (openai("slow down", 429), False, Fault.BUSY),
        (openai("slow down", "503"), True, Fault.BUSY),
        ({"error": {"type": "overloaded_error", "message": "x"}}, False, Fault.BUSY),
        (openai("No instance found for model x", 404), True, Fault.NOT_PLACED),
        (openai("x", "context_length_exceeded"), False, Fault.CONTEXT_LENGTH),
        (openai("x", "content_filter"), False, Fault.DECLINED),
        (openai("x", 401), False, Fault.BAD_KEY),
        (openai("x", 401), True, Fault.ERROR_EVENT),
    ],
)  # fmt: skip
def test_an_error_in_band_has_its_fault(error: object, exo: bool, fault: Fault) -> None:  # noqa: FBT001 - a column of the table
    assert in_band(said(error), exo=exo, content=False) is fault
    assert in_band(said(error), exo=exo, content=True) is Fault.ERROR_EVENT


def test_an_error_may_name_its_rest_itself() -> None:
    assert judged(429, {"error": {"message": "x", "retry_after": 7}}).retry_after == 7.0


@given(
    error=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "message", "detail", "code", "msg", "loc", "type", "param"]
                ),
                inner,
                max_size=4,
            )
        ),
    ),
    status=st.integers(100, 599).filter(lambda status: status != 200),
)
def test_no_error_body_raises(error: object, status: int) -> None:
    assert len(judged(status, error).message) <= 300


@pytest.mark.parametrize(
    ("status", "words", "exo", "of_key"),
    [
        (429, "Rate limit reached for requests per minute", False, True),
        (429, "Too Many Requests", False, True),
        (429, "", False, True),
        (429, "The engine is currently overloaded", False, False),
        (429, "m is temporarily rate-limited upstream. Please retry shortly", False, False),
        (429, "Rate limit reached", True, False),
        (503, "Rate limit reached", False, False),
        (529, "", False, False),
        (429, "You exceeded your current quota", False, False),
    ],
)
def test_a_429_speaks_of_the_key_unless_it_speaks_of_the_server(
    *, status: int, words: str, exo: bool, of_key: bool
) -> None:
    body = json.dumps({"error": {"message": words}}).encode()
    found = judge(status, "application/json", {}, body, exo=exo, now_wall=0.0)
    assert found is not None
    assert found.of_key == of_key


def test_a_wait_is_looked_for_in_so_many_details_and_no_more() -> None:
    for before, wait in ((MOST_DETAILS - 1, 36.0), (MOST_DETAILS, None)):
        details = [*({"n": str(n)} for n in range(before)), {"retryDelay": "36s"}]
        failure = judged(429, {"error": {"message": "x", "details": details}})
        assert failure.retry_after == wait


def test_an_answer_of_another_kind_is_named_or_is_said_to_have_none() -> None:
    for content_type, words in (
        ("text/html", "is text/html, not"),
        ("", "is no content type, not"),
    ):
        told = media_of(content_type, "")
        assert isinstance(told, Failure)
        assert words in told.message
