"""Whatever a client sends gets a clear error, is repeated nowhere, and costs nobody else."""

import json
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import anyio
import pytest

from exo_supervisor.demo import ExoNode
from tests.app.world import CHAT, HELLO, World, asking, exchanged, in_process, post, until
from tests.demo.raw import Reply, taken_apart

pytestmark = pytest.mark.real_time

MARK = "Xq7-the-clients-secret-words"
SAID = [{"role": "user", "content": MARK}]
AUTH = f"Authorization: Bearer {MARK}"
LIMIT = 2**20


def chat(**more: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return a chat request that would do, but for what `more` changes."""
    return post(json.dumps(asking(**{"messages": SAID, **more})).encode(), AUTH)


def chunked(size: int) -> bytes:
    """Return the bytes of a chunked body of so many bytes."""
    part = (MARK * 4096).encode()
    chunk = f"{len(part):x}\r\n".encode() + part + b"\r\n"
    return chunk * (size // len(part) + 1) + b"0\r\n\r\n"


def wishing(header: str) -> bytes:
    return post(json.dumps(asking(messages=SAID)).encode(), AUTH, header)


def asks(line: str) -> bytes:
    return f"{line} HTTP/1.1\r\nHost: x\r\n{AUTH}\r\nConnection: close\r\n\r\n".encode()


DEEP = b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BAD: dict[str, tuple[bytes, int, str]] = {
    "no body": (post(b"", AUTH), 400, "bad_json"),
    "bad JSON": (post(f'{{"model": "{MARK}'.encode(), AUTH), 400, "bad_json"),
    "not an object": (post(f'["{MARK}"]'.encode(), AUTH), 400, "bad_json"),
    "not UTF-8": (post(b'{"model": "' + MARK.encode() + b'\xff"}', AUTH), 400, "bad_json"),
    "deep JSON": (post(DEEP, AUTH), 400, "bad_json"),
    "too large": (post(b"x" * (LIMIT + 1), AUTH), 413, "body_too_large"),
    "said too large": (post(b"x", AUTH, f"Content-Length: {40 * 2**20}"), 413, "body_too_large"),
    "chunked too large": (
        post(chunked(2 * LIMIT), AUTH, "Transfer-Encoding: chunked"),
        413,
        "body_too_large",
    ),
    "no model": (chat(model=None), 400, "missing_field"),
    "empty model": (chat(model=""), 400, "wrong_type"),
    "no messages": (chat(messages=None), 400, "missing_field"),
    "empty messages": (chat(messages=[]), 400, "empty_messages"),
    "messages a text": (chat(messages=MARK), 400, "wrong_type"),
    "a message a text": (chat(messages=[MARK]), 400, "wrong_type"),
    "stream a text": (chat(stream=MARK), 400, "wrong_type"),
    "max_tokens a text": (chat(max_tokens=MARK), 400, "wrong_type"),
    "stop an object": (chat(stop={"a": MARK}), 400, "wrong_type"),
    "unknown model": (chat(model="nobody-has-this"), 404, "model_not_found"),
    "a mere card": (chat(model="mlx-community/GLM-4.5-Air-4bit"), 404, "model_not_placed"),
    "ignored field": (chat(response_format={"type": "json_object"}), 400, "unsupported_field"),
    "GET": (asks(f"GET {CHAT}"), 405, "method_not_allowed"),
    "DELETE": (asks(f"DELETE {CHAT}"), 405, "method_not_allowed"),
    "POST to a list": (asks("POST /v1/models"), 405, "method_not_allowed"),
    "GET a breaker": (asks("GET /supervisor/breakers/x/open"), 405, "method_not_allowed"),
    "unknown path": (asks(f"GET /{MARK}"), 404, "route_not_found"),
    "unknown breaker": (asks("POST /supervisor/breakers/x/open"), 404, "target_not_found"),
    "bad route": (wishing(f"x-supervisor-route: {MARK}"), 400, "bad_header"),
    "bad privacy": (wishing(f"x-supervisor-privacy: {MARK}"), 400, "bad_header"),
    "bad deadline": (wishing("x-supervisor-deadline: -1"), 400, "bad_header"),
    "deadline not finite": (wishing("x-supervisor-deadline: nan"), 400, "bad_header"),
    "unknown wish": (wishing(f"x-supervisor-{MARK}: 1"), 400, "bad_header"),
    "wish sent twice": (
        wishing("x-supervisor-route: exo\r\nx-supervisor-route: exo"),
        400,
        "bad_header",
    ),
    "garbage": (MARK.encode() * 8 + b"\r\n\r\n", 400, "bad_http"),
    "huge header": (asks(f"GET /{'a' * 10}\r\nX: {MARK * 2000}"), 400, "bad_http"),
    "bad chunk": (
        post(f"{MARK}\r\n".encode(), AUTH, "Transfer-Encoding: chunked"),
        400,
        "bad_http",
    ),
}


@pytest.fixture
async def world() -> AsyncGenerator[World]:
    async with ExoNode("C", pace=0.0) as node:
        async with in_process(node, server={"max_body_bytes": LIMIT}) as world:
            await world.ready()
            yield world
            assert (await world.chat()).status_code == 200
        assert node.requests[CHAT] >= 1
        assert MARK not in world.log().decode()


async def test_each_bad_request_gets_its_own_error(world: World) -> None:
    """The status, OpenAI's shape and the code; nothing of it in the answer or the log."""
    told: dict[str, tuple[int, str]] = {}
    for name, (data, _, code) in BAD.items():
        if code == "model_not_placed":  # a node's cards are read after its state
            await until(partial(exchanged, world.path, data), lambda raw: b"not_placed" in raw)
        raw = await exchanged(world.path, data)
        assert MARK.encode() not in raw, name
        reply = taken_apart(raw)
        told[name] = reply.status, code_of(reply)
    assert told == {name: (status, code) for name, (_, status, code) in BAD.items()}


async def test_the_status_counts_as_many_requests_as_have_a_line(world: World) -> None:
    """Whoever refused them: the head, the body, the core, or a bound on bodies."""
    refused = ["bad route", "said too large", "bad JSON", "unknown model"]
    for name in refused:
        await exchanged(world.path, BAD[name][0])
    assert (await world.chat()).status_code == 200
    counted = (await world.look("/supervisor/status"))["requests"]
    lines = await world.lines("request_done", len(refused) + 1)
    assert counted["total"] == len(lines)
    assert (counted["refused"], counted["exo"], counted["in_flight"]) == (len(refused), 1, 0)


async def test_a_route_that_is_not_built_is_told_the_one_for_chats(world: World) -> None:
    """Under `/v1/` a client library asked for it: chats are what it can have."""
    reply = taken_apart(await exchanged(world.path, asks("POST /v1/audio/speech")))
    assert (reply.status, code_of(reply)) == (404, "route_not_found")
    assert CHAT.encode() in reply.body


def code_of(reply: Reply) -> str:
    """Return the code of an error, whose shape must be OpenAI's."""
    assert reply.whole
    assert reply.headers["content-type"].startswith("application/json")
    (error,) = json.loads(reply.body).values()
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    code: str = error["code"]
    return code


async def test_each_refused_chat_has_its_one_line(world: World) -> None:
    for name in ("no body", "empty messages", "unknown model", "bad route", "too large"):
        await exchanged(world.path, BAD[name][0])
    lines = await world.lines("request_done", 5)
    assert [(line["status"], line["outcome"], line["code"]) for line in lines] == [
        (400, "refused", "bad_json"),
        (400, "refused", "empty_messages"),
        (404, "refused", "model_not_found"),
        (400, "refused", "bad_header"),
        (413, "refused", "body_too_large"),
    ]
    assert len({line["request_id"] for line in lines}) == 5


async def test_half_a_request_and_a_close_leave_nothing(world: World) -> None:
    for data in (b"POST /v1/chat/comp", chat()[:-30], b"\x16\x03\x01\x02", b"", b"\r\n" * 50):
        async with await anyio.connect_unix(world.path) as client:
            if data:
                await client.send(data)
    await world.idle()
    assert (await world.chat()).status_code == 200


async def test_a_sound_request_after_a_bad_one_on_the_same_connection_is_served(
    world: World,
) -> None:
    for body in (b"{}", json.dumps({"model": "m", "messages": []}).encode()):
        assert (await world.http.post(CHAT, content=body)).status_code == 400
    answer = await world.http.post(CHAT, json=asking(messages=HELLO))
    assert answer.status_code == 200
