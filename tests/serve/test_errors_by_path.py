"""An error has the shape of the dialect of its path, whoever finds it."""

import json
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.serve.control.plain import answer as answer_plainly
from exo_supervisor.serve.control.plain import wrong_method
from exo_supervisor.serve.heads import error_head
from exo_supervisor.serve.token import Guard
from exo_supervisor.wire.dialect import Told
from exo_supervisor.wire.openai.framing import FRAMING
from tests.demo.raw import Reply, exchanged, taken_apart
from tests.serve.listening import HOST, listening, only

pytestmark = pytest.mark.real_time

OPENAI = ["/v1/nothing", "/v1/models/x", "/nothing", "/v1/messagesx", "/apix"]
ANTHROPIC = [
    "/v1/messages/batches", "/v1/messages/x?beta=true", "//v1/messages/batches", "/v1/messages/x",
]  # fmt: skip
OLLAMA = ["/api/nothing", "/api/pull", "/ollama/api/nothing", "/ollama"]
PATHS = [*OPENAI, *ANTHROPIC, *OLLAMA]


def ask(path: str, *lines: str, method: str = "GET") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "host: localhost", "connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode()


def look(request: web.BaseRequest, path: str) -> web.StreamResponse:
    if request.method != "GET":
        raise wrong_method(path, "GET")
    raise BadRequestError(Refusal(404, "route_not_found", "no such route"))


def told(path: str, answer: Reply) -> tuple[int, str, str]:
    """Return an error's status, code and message, of which the shape is its path's."""
    body: dict[str, Any] = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/json"
    if path in OLLAMA:
        assert set(body) == {"error", "code"}
        return answer.status, body["code"], body["error"]
    error = body["error"]
    if path in ANTHROPIC:
        assert set(body) == {"type", "error", "request_id"}
        assert body["type"] == "error"
        assert body["request_id"] == answer.headers["request-id"]
        assert error["type"].endswith("_error")
    else:
        assert set(body) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        assert "request-id" not in answer.headers
    return answer.status, error["code"], error["message"]


async def answer(raw: bytes, guard: Guard | None = None) -> Reply:
    async with listening(partial(answer_plainly, look), guard=guard) as port:
        return taken_apart(await exchanged(raw, HOST, port))


@pytest.mark.parametrize("path", PATHS)
async def test_a_route_that_is_not_there(path: str) -> None:
    assert told(path, await answer(ask(path))) == (404, "route_not_found", "no such route")


@pytest.mark.parametrize("path", PATHS)
async def test_a_method_that_is_not_taken(path: str) -> None:
    reply = await answer(ask(path, method="PUT"))
    assert told(path, reply)[:2] == (405, "method_not_allowed")
    assert reply.headers["allow"] == "GET"


@pytest.mark.parametrize("path", PATHS)
async def test_a_token_that_is_missing(path: str) -> None:
    reply = await answer(ask(path), only("secret"))
    assert told(path, reply)[:2] == (401, "bad_token")
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PATHS)
async def test_a_head_that_is_no_http(path: str) -> None:
    reply = await answer(ask(path, "a header without a colon"))
    assert told(path, reply)[:2] == (400, "bad_http")


@pytest.mark.parametrize("path", PATHS)
async def test_a_head_in_parts_that_is_no_http(path: str) -> None:
    """The part that tells the path is all that has come when the parser gives up."""
    raw = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nno colon\r\n".encode()
    reply = await answer(raw)
    assert told(path, reply)[:2] == (400, "bad_http")


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET /" + b"x" * 9000])
async def test_what_has_no_path_is_answered_as_openai_does(raw: bytes) -> None:
    assert told("/", await answer(raw + b"\r\n\r\n"))[:2] == (400, "bad_http")


async def test_a_path_with_the_token_in_it_has_its_dialect_all_the_same() -> None:
    reply = await answer(ask("/t/secret/v1/messages/x"), only("secret"))
    assert told("/v1/messages/x", reply)[:2] == (404, "route_not_found")


@pytest.mark.parametrize(
    ("status", "code", "retry_after", "in_vain"),
    [
        (402, "budget_spent", None, True),
        (403, "privacy", None, True),
        (502, "attempts_failed", None, True),
        (502, "poison_request", None, True),
        (504, "deadline", None, True),
        (503, "no_target", 61.0, True),
        (503, "local_only_unavailable", 300.0, True),
        (503, "no_target", 60.0, False),
        (503, "no_target", None, False),
        (503, "local_only_unavailable", 5.0, False),
        (503, "overloaded", 1.0, False),
        (503, "overloaded", 600.0, False),
        (429, "rate_limited", 600.0, False),
        (400, "bad_json", None, False),
        (500, "internal", None, False),
    ],
)
def test_a_client_is_told_not_to_ask_again_where_that_is_in_vain(
    status: int, code: str, retry_after: float | None, *, in_vain: bool
) -> None:
    head = error_head(FRAMING, Told(status, code, "why", retry_after=retry_after))
    assert (b"x-should-retry: false\r\n" in head) is in_vain
    assert (b"retry-after: " in head) is (retry_after is not None)
