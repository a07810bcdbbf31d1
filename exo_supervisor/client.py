"""The Python client: chats and looks over the service's Unix socket."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from types import TracebackType
from typing import Self, cast

import aiohttp
import msgspec
from aiohttp import ClientResponse, ClientSession, UnixConnector

from exo_supervisor.errors import SupervisorError

HOST = "http://exo-supervisor"


class AnswerError(SupervisorError):
    """The service answered with an error, or an answer broke off; `code` is the service's."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Piece(msgspec.Struct, frozen=True):
    """A part of an answer, and the headers that say who gives it."""

    text: str
    headers: dict[str, str]


class _Text(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    """A choice of a stream has a `delta`, one of a whole answer a `message`."""

    delta: _Text = msgspec.field(default_factory=_Text)
    message: _Text = msgspec.field(default_factory=_Text)


class _Error(msgspec.Struct):
    message: str = ""
    code: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    error: _Error | None = None


class Client:
    """One service's client; use it with `async with`."""

    def __init__(self, socket: str) -> None:
        self._session = ClientSession(
            connector=UnixConnector(path=socket, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def look(self, path: str) -> dict[str, object]:
        """GET one of the service's own routes; raises AnswerError."""
        try:
            async with self._session.get(HOST + path) as response:
                return cast("dict[str, object]", msgspec.json.decode(await response.read()))
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as fault:
            raise AnswerError("unreachable", type(fault).__name__, 0) from fault

    async def stream(self, model: str, prompt: str) -> AsyncGenerator[Piece]:
        """Ask for a streamed answer, piece by piece; raises AnswerError if it is not whole."""
        async with await self._ask(model, prompt, stream=True) as response:
            headers = _headers(response)
            try:
                async for line in response.content:
                    if line.startswith(b"data: [DONE]"):
                        return
                    if line.startswith(b"data: "):
                        yield Piece(_text(line[6:]), headers)
            except (aiohttp.ClientError, OSError, ValueError) as fault:
                raise AnswerError("broken_off", type(fault).__name__, response.status) from fault
            raise AnswerError("broken_off", "the answer ended before its end", response.status)

    async def chat(self, model: str, prompt: str) -> Piece:
        """Ask for a whole answer; raises AnswerError."""
        async with await self._ask(model, prompt, stream=False) as response:
            answer = await _read(response)
            text = "".join(choice.message.content or "" for choice in answer.choices)
            return Piece(text, _headers(response))

    async def _ask(self, model: str, prompt: str, *, stream: bool) -> ClientResponse:
        """Send a chat and wait for the head of its answer. Raises AnswerError."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": stream,
        }
        try:
            response = await self._session.post(HOST + "/v1/chat/completions", json=body)
        except (aiohttp.ClientError, OSError) as fault:
            raise AnswerError("unreachable", type(fault).__name__, 0) from fault
        if response.status == HTTPStatus.OK:
            return response
        async with response:
            error = (await _read(response)).error or _Error()
            raise AnswerError(error.code or "unknown", error.message, response.status)


def _headers(response: ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _read(response: ClientResponse) -> _Answer:
    """Read a whole answer, or the error in its place. Raises AnswerError."""
    try:
        return msgspec.json.decode(await response.read(), type=_Answer)
    except (aiohttp.ClientError, OSError) as fault:
        raise AnswerError("broken_off", type(fault).__name__, response.status) from fault
    except msgspec.DecodeError as fault:
        raise AnswerError("not_understood", "the body is no answer", response.status) from fault


def _text(data: bytes) -> str:
    try:
        chunk = msgspec.json.decode(data, type=_Answer)
    except msgspec.DecodeError as fault:
        raise AnswerError("not_understood", "an event is no chunk", HTTPStatus.OK) from fault
    if chunk.error is not None:
        raise AnswerError(chunk.error.code or "unknown", chunk.error.message, HTTPStatus.OK)
    return "".join(choice.delta.content or "" for choice in chunk.choices)
