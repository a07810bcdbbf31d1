"""A hostile client, cloud or node gets an error: no half answer, no second request, no crash."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    KEY,
    Json,
    World,
    asking,
    exchanged,
    in_process,
    post,
)
from tests.demo.raw import taken_apart

pytestmark = pytest.mark.real_time

BODY = json.dumps(asking()).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
HIDDEN = b"0\r\n\r\n" + post(BODY)
LENGTH = f"Content-Length: {len(BODY)}"
TE = "Transfer-Encoding: chunked"
SMUGGLED: dict[str, bytes] = {
    "two framings": post(CHUNKED, LENGTH, TE),
    "a request behind a short length": post(HIDDEN, "Content-Length: 5", TE),
    "two lengths": post(BODY, LENGTH, "Content-Length: 3"),
    "the same length twice": post(BODY, LENGTH, LENGTH),
    "a list of lengths": post(BODY, f"{LENGTH}, {len(BODY)}"),
    "a signed length": post(BODY, f"Content-Length: +{len(BODY)}"),
    "a space before the colon": post(BODY, f"Content-Length : {len(BODY)}"),
    "two codings": post(CHUNKED, TE, "Transfer-Encoding: identity"),
    "an unknown coding": post(CHUNKED, "Transfer-Encoding: xchunked"),
    "a negative chunk": post(b"-5\r\n" + BODY, TE),
    "a prefixed chunk": post(b"0x" + CHUNKED, TE),
    "a chunk longer than it says": post(CHUNKED.replace(b"\r\n0\r\n", b"XX\r\n0\r\n"), TE),
    "chunks of bare line feeds": post(CHUNKED.replace(b"\r\n", b"\n"), TE),
    "a folded header": post(BODY, "X: a\r\n b"),
    "a folded wish": post(BODY, "x-supervisor-privacy:\r\n local_only"),
    "a zero in a header": post(BODY, "X: a\0b"),
    "two hosts": post(BODY, "Host: y"),
    "bare line feeds": post(BODY).replace(b"\r\n", b"\n"),
}

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
SAID = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"half"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def events(*parts: bytes, extra: int = 0) -> bytes:
    """Return a stream of events whose head promises `extra` more bytes than there are."""
    body = b"".join(parts)
    return HEAD % (b"text/event-stream", len(body) + extra) + body


def whole(text: str) -> bytes:
    """Return one JSON answer."""
    return HEAD % (b"application/json", len(text)) + text.encode()


NO_ANSWER: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"HELLO\r\n\r\n",
    "half a head": b"HTTP/1.1 200 O",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyyyyyyyy\r\n" * 20_000,
    "no finish": events(SAID, DONE),
    "an empty finish": events(SAID, END.replace(b"stop", b""), DONE),
    "no content": events(END, DONE),
    "a choice beyond any": events(SAID, END.replace(b":0,", b":500,"), DONE),
    "an error after the finish": events(SAID, END, b'data: {"error":{"message":"x"}}\n\n', DONE),
    "an event without an end": events(b"data: " + b"y" * (9 * 2**20)),
    "two framings": events(SAID, END, DONE).replace(b"Content-L", TE.encode() + b"\r\nContent-L"),
    "compressed": events(SAID, END, DONE).replace(b"\r\n\r\n", b"\r\nContent-Encoding: br\r\n\r\n"),
    "half of a resource": events(SAID, END, DONE).replace(b"200 OK", b"206 Partial"),
    "JSON for events": whole("[]").replace(b"application/json", b"text/event-stream"),
    "JSON cut": whole('{"choices":[{"index":0,"message":{"content":"half"},"finish_reason":"st'),
    "JSON unfinished": whole('{"choices":[{"index":0,"message":{"content":"half"}}]}'),
    "JSON with one choice unfinished": whole(
        '{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},'
        '{"index":1,"message":{"content":"b"}}]}'
    ),
    "JSON without choices": whole('{"id":"x"}'),
    "JSON with an error": whole('{"error":"too hot"}'),
    "an error that is a page": whole('{"error":{"message":"502: <HTML><p>secret"}}'),
    "a page behind a broker": whole('{"error":{"metadata":{"raw":"<!DOCTYPE html>secret"}}}'),
    "a validator's echo": whole("""{"error":"wrong: {'type': 'x', 'input': 'secret'}"}"""),
    "a page": whole("<html>secret").replace(b"application/json", b"text/html"),
    "a page with a status": whole("<html>secret").replace(b"200 OK", b"502 Bad Gateway"),
    "JSON without a message": whole('{"choices":[{"message":null,"finish_reason":"stop"}]}'),
    "deep JSON": whole('{"choices":' + "[" * 100_000),
}


@asynccontextmanager
async def stranger(answer: Callable[[bytes], bytes]) -> AsyncGenerator[str]:
    """Listen on loopback; each request line is answered with bytes, and then cut off."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(head.partition(b"\r\n")[0]))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def provider(url: str) -> Json:
    """Return a table of one provider with a model that is its alone."""
    return {"name": "stranger", "base_url": url, "key_env": "KEY_OF_THE_STRANGER"}


async def asked(world: World, *, stream: bool) -> bytes:
    """Ask the stranger for an answer, and return all bytes that came of it."""
    body = asking(model="stranger/any", stream=stream)
    return await exchanged(world.path, post(json.dumps(body).encode()))


async def test_what_two_servers_could_read_in_two_ways_is_refused() -> None:
    """A request may not hide in another one's body."""
    async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
        await world.ready()
        for name, data in SMUGGLED.items():
            received = await exchanged(world.path, data)
            assert received.count(b"HTTP/1.") == 1, name
            reply = taken_apart(received)
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "bad_http"), (
                name
            )
        assert node.requests[CHAT] == 0
        assert (await world.chat()).status_code == 200


async def test_a_wish_holds_for_its_own_request_alone() -> None:
    """Of requests in one write, only the one that may leave this network does."""
    local = "x-supervisor-privacy: local_only"
    one = post(BODY).replace(b"Connection: close\r\n", b"")
    kept = one.replace(b"Host: x", b"Host: x\r\n" + local.encode())
    async with Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud, in_process(cloud=cloud) as world:
        received = b""
        reader, writer = await asyncio.open_unix_connection(world.path)
        writer.write(kept + one + kept + post(BODY, local))
        async with asyncio.timeout(60):
            received = await reader.read(-1)
        writer.close()
        statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"503", b"200", b"503", b"503"]
        assert cloud.seen == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_whole_answer_never_looks_like_one(stream: bool) -> None:  # noqa: FBT001
    """The client gets an error with the cloud's words, but no page of it and nobody's prompt."""
    sent = b""
    async with (
        stranger(lambda line: sent if line.startswith(b"POST") else whole("[]")) as url,
        in_process(provider=[provider(url)], breaker={"trip_after": 100}) as world,
    ):
        for name, data in NO_ANSWER.items():
            sent = data
            reply = taken_apart(await asked(world, stream=stream))
            assert reply.status == 502, name
            assert json.loads(reply.body)["error"]["code"] == "attempts_failed", name
            assert b"secret" not in reply.body, name
            assert (b"too hot" in reply.body) == (b"too hot" in data), name
        assert b"secret" not in world.log()
        sent = events(SAID, END, extra=1)  # its last byte never comes
        received = await asked(world, stream=stream)
        assert b'"error"' in received
        assert b"[DONE]" not in received
        assert not received.endswith(b"0\r\n\r\n")


async def test_a_cloud_cannot_write_our_headers_or_send_us_elsewhere() -> None:
    """A model's name stays one line, and a redirect is a failure."""
    evil = SAID.replace(b'"m"', b'"m\\r\\nX-Evil: 1\\r\\n\\r\\n"')
    async with Cloud(KEY, (CLOUD_MODEL,)) as other:
        to = f"Location: {other.base_url}/chat/completions\r\nContent-Length: 0\r\n\r\n"
        sent = events(evil, END, DONE)
        async with (
            stranger(lambda line: sent if line.startswith(b"POST") else whole("[]")) as url,
            in_process(provider=[provider(url)]) as world,
        ):
            head = (await asked(world, stream=True)).partition(b"\r\n\r\n")[0]
            assert b"200 OK" in head
            assert b"\r\nX-Evil" not in head
            sent = b"HTTP/1.1 307 Temporary Redirect\r\n" + to.encode()
            assert b"502" in (await asked(world, stream=False))[:20]
            assert not other.requests


async def test_a_node_with_a_hostile_state_serves_nothing_and_stops_nobody() -> None:
    """Its neighbour answers, the views are whole, and nothing of it is repeated."""
    states = ["[]", "null", '{"a":' * 5000, '{"a":{"b":"secret"}}', "\xff", '"' + "x" * 100_000]
    turn = 0

    def answer(line: bytes) -> bytes:
        nonlocal turn
        if b"/node_id" in line:
            return whole('"' + "a" * 32 + '"')
        turn += 1
        return whole(states[turn % len(states)])

    async with (
        ExoNode("C", pace=0.0) as node,
        stranger(answer) as url,
        in_process(node, url, health={"ready_interval": 0.05}) as world,
    ):
        await world.until("/supervisor/status", lambda _: turn > 3 * len(states))
        await world.ready()
        assert (await world.chat()).headers["x-supervisor-target"] == node.address
        for view in ("status", "nodes", "models", "breakers"):
            assert (await world.http.get(f"/supervisor/{view}")).status_code == 200
        assert b"secret" not in world.log()
