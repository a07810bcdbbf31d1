"""A client of a service in this same process, as the demo's story and the drill need one."""

import json
from collections.abc import AsyncGenerator

import anyio
from anyio.abc import ByteStream
from msgspec import Struct

from exo_supervisor.client.chat import Chat
from exo_supervisor.client.http import (
    OK,
    CutError,
    NoAnswerError,
    RefusedError,
    Response,
    reason_of,
    request,
)
from exo_supervisor.client.json_object import Fields, fields, objects, read_object

CHAT = "/v1/chat/completions"


class Piece(Struct, frozen=True):
    """A part of an answer, and the headers that say who gives it."""

    text: str
    headers: dict[str, str]


class Visitor:
    """Asks the service at one Unix socket; raises AnswerError for whatever is no whole answer."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    async def look(self, path: str) -> Fields:
        """GET one of the service's own views."""
        async with await self._connected() as stream:
            response, start = await _begun(stream, request("GET", path))
            return read_object(await _rest(stream, response, start))

    async def chat(self, model: str, prompt: str) -> Piece:
        """Ask for a whole answer."""
        async with await self._connected() as stream:
            response, start = await _begun(stream, _asking(model, prompt, stream=False))
            answer = read_object(await _rest(stream, response, start))
        messages = [fields(each.get("message")) for each in objects(answer.get("choices"))]
        return Piece("".join(str(each.get("content") or "") for each in messages), response.headers)

    async def stream(self, model: str, prompt: str) -> AsyncGenerator[Piece]:
        """Ask for a streamed answer, piece by piece."""
        chat = Chat()
        async with await self._connected() as stream:
            response, part = await _begun(stream, _asking(model, prompt, stream=True))
            while True:
                for text in chat.feed(part):
                    yield Piece(text, response.headers)
                if chat.refused is not None:
                    raise chat.refused
                if chat.done:
                    return
                if response.ended:
                    raise CutError("its last word, [DONE], is missing")
                part = await _receive(stream, response)

    async def _connected(self) -> ByteStream:
        try:
            return await anyio.connect_unix(self._socket)
        except OSError as error:
            raise NoAnswerError(reason_of(error)) from error


def _asking(model: str, prompt: str, *, stream: bool) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream}
    headers = {"content-type": "application/json"}
    return request("POST", CHAT, json.dumps(body).encode(), headers)


async def _begun(stream: ByteStream, asking: bytes) -> tuple[Response, bytes]:
    """Ask, and return a good answer's head and the first of its body."""
    response, start = Response(), b""
    try:
        await stream.send(asking)
    except anyio.BrokenResourceError as error:
        raise NoAnswerError("the connection was closed") from error
    while not response.status:
        start = await _receive(stream, response)
    if response.status != OK:
        raise RefusedError(response.status, await _rest(stream, response, start))
    return response, start


async def _rest(stream: ByteStream, response: Response, start: bytes) -> bytes:
    while not response.ended:
        start += await _receive(stream, response)
    return start


async def _receive(stream: ByteStream, response: Response) -> bytes:
    try:
        return response.feed(await stream.receive())
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        response.close()
        return b""
