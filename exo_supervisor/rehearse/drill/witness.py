"""A client that trusts nobody: it reads an answer byte by byte, and says what it was worth."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Literal

import anyio
import msgspec
from msgspec import Struct

from exo_supervisor.client.errors import AnswerError
from exo_supervisor.client.http import Response, request
from exo_supervisor.demo import text

TOKENS = 12
"""Tokens of every whole answer that the pretend targets give."""
SAID = text(TOKENS)
CHAT = "/v1/chat/completions"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Heard(Struct, frozen=True):
    """An answer as it came; `ended` tells whether its framing came to an end."""

    status: int
    headers: dict[str, str]
    body: bytes
    ended: bool


class Verdict(Struct, frozen=True):
    """What an answer was worth: `whole`, a clear `error`, or `neither`, which must never be.

    `target` and `shift` are of a whole one, `code` of an error; `cut` is one that had begun, and
    `why` is what is wrong with neither.
    """

    kind: Literal["whole", "error", "neither"]
    target: str = ""
    shift: str = ""
    code: str = ""
    cut: bool = False
    why: str = ""


class _Part(Struct):
    content: str | None = None


class _Choice(Struct):
    delta: _Part = msgspec.field(default_factory=_Part)
    message: _Part = msgspec.field(default_factory=_Part)
    finish_reason: str | None = None


class _Error(Struct):
    message: str = ""
    code: str | None = None


class _Event(Struct):
    choices: list[_Choice] = []
    error: _Error | None = None


class _Served(Struct):
    target: str = ""
    shift: str | None = None


def chat(
    model: str,
    *,
    stream: bool,
    headers: Mapping[str, str] = NO_HEADERS,
    fields: Mapping[str, object] = MappingProxyType({}),
) -> bytes:
    """Write the bytes of a chat request on a connection that ends with its answer."""
    message = {"role": "user", "content": "This is a drill."}
    asked = {"model": model, "messages": [message], "stream": stream, **fields}
    body = msgspec.json.encode(asked)
    return request("POST", CHAT, body, headers)


async def ask(socket: str, request: bytes) -> Heard:
    """Send a request and read until the connection ends, however it ends."""
    received = b""
    async with await anyio.connect_unix(socket) as stream:
        await stream.send(request)
        try:
            async for data in stream:
                received += data
        except anyio.BrokenResourceError:
            pass
    return take_apart(received)


def take_apart(raw: bytes) -> Heard:
    """Split an HTTP/1.1 answer into its parts, its body out of its chunks."""
    response, body = Response(), b""
    with suppress(AnswerError):
        body = response.feed(raw)
    return Heard(response.status, response.headers, body, response.ended and not response.surplus)


def judge(heard: Heard, *, stream: bool) -> Verdict:
    """Say what an answer was worth to a client that knows what the whole one is."""
    if heard.status == 0:
        return Verdict("neither", why="the connection ended without an answer")
    if heard.status != 200:  # noqa: PLR2004 - HTTP's own word for an answer
        return _judge_error(heard)
    return _judge_stream(heard) if stream else _judge_plain(heard)


def _judge_error(heard: Heard) -> Verdict:
    event = _decode(heard.body)
    if not heard.ended or event is None or event.error is None or not event.error.code:
        return Verdict("neither", why=f"status {heard.status} without an error's shape")
    return Verdict("error", code=event.error.code)


def _judge_plain(heard: Heard) -> Verdict:
    event = _decode(heard.body)
    if not heard.ended or event is None or len(event.choices) != 1:
        return Verdict("neither", why="a 200 whose body is no answer")
    if event.choices[0].message.content != SAID or not event.choices[0].finish_reason:
        return Verdict("neither", why="a 200 with half an answer")
    return _whole(heard)


def _judge_stream(heard: Heard) -> Verdict:
    blocks = [block for block in heard.body.split(b"\n\n") if block.startswith(b"data: ")]
    datas = [block.removeprefix(b"data: ") for block in blocks]
    done = b"[DONE]" in datas
    events = [_decode(data) for data in datas if data != b"[DONE]"]
    known = [event for event in events if event is not None]
    choices = [choice for event in known for choice in event.choices]
    finished = any(choice.finish_reason for choice in choices)
    said = "".join(choice.delta.content or "" for choice in choices)
    errors = [event.error for event in known if event.error is not None]
    if len(known) < len(events):
        return Verdict("neither", why="an event that is no JSON")
    if errors:
        if done or finished or heard.ended:
            return Verdict("neither", why="an error event in a stream that looks whole")
        return Verdict("error", code=errors[-1].code or "no code", cut=True)
    if not (done and finished and heard.ended):
        return Verdict("neither", why="a stream that ends without an end and without an error")
    if said != SAID:
        return Verdict("neither", why="a stream that looks whole and is not")
    return _whole(heard)


def _whole(heard: Heard) -> Verdict:
    target = heard.headers.get("x-supervisor-target", "")
    shift = heard.headers.get("x-supervisor-shift", "")
    if not target:  # the head went out before anybody answered: a comment says who did
        comment = re.search(rb"^: supervisor (\{.*\})$", heard.body, re.MULTILINE)
        served = msgspec.json.decode(comment[1], type=_Served) if comment else _Served()
        target, shift = served.target, served.shift or ""
    return Verdict("whole", target=target, shift=shift)


def _decode(data: bytes) -> _Event | None:
    """Read an event as the clients in use do, by Python's `json`: it knows NaN, too."""
    try:
        return msgspec.convert(json.loads(data), _Event)
    except ValueError:  # msgspec's own errors are among them
        return None
