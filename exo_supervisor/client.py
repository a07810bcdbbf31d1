"""The Python client: chats and looks over the service's Unix socket."""

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self, cast

import aiohttp
import msgspec
from aiohttp import ClientSession, UnixConnector

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


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)


class _Error(msgspec.Struct):
    message: str = ""
    code: str | None = None


class _Chunk(msgspec.Struct):
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
        async with self._post(model, prompt, stream=True) as response:
            headers = await _good_headers(response)
            try:
                async for line in response.content:
                    if line.startswith(b"data: [DONE]"):
                        return
                    if line.startswith(b"data: "):
                        yield Piece(_text(line[6:]), headers)
            except aiohttp.ClientError as fault:
                raise AnswerError("broken_off", type(fault).__name__, 200) from fault
            raise AnswerError("broken_off", "the answer ended before its end", 200)

    async def chat(self, model: str, prompt: str) -> Piece:
        """Ask for a whole answer; raises AnswerError."""
        async with self._post(model, prompt, stream=False) as response:
            headers = await _good_headers(response)
            body = cast("dict[str, object]", msgspec.json.decode(await response.read()))
            choices = cast("list[dict[str, dict[str, str]]]", body["choices"])
            return Piece(choices[0]["message"]["content"], headers)

    def _post(
        self, model: str, prompt: str, *, stream: bool
    ) -> aiohttp.client._RequestContextManager:  # pyright: ignore[reportPrivateUsage]
        body = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": stream,
        }
        return self._session.post(HOST + "/v1/chat/completions", json=body)


def _text(data: bytes) -> str:
    chunk = msgspec.json.decode(data, type=_Chunk)
    if chunk.error is not None:
        raise AnswerError(chunk.error.code or "unknown", chunk.error.message, 200)
    return "".join(choice.delta.content or "" for choice in chunk.choices)


async def _good_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    if response.status == 200:  # noqa: PLR2004 -- the one status that is an answer
        return {name.lower(): value for name, value in response.headers.items()}
    try:
        error = msgspec.json.decode(await response.read(), type=_Chunk).error or _Error()
    except msgspec.DecodeError:
        error = _Error()
    raise AnswerError(error.code or "unknown", error.message, response.status)
