"""The client of programs on an event loop, asyncio's or trio's: `Client`, awaited."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Self, TypeVar

import anyio
from anyio.abc import ByteStream

from exo_supervisor.client import calls, http
from exo_supervisor.client.calls import Caller, Completion, Messages, Streaming
from exo_supervisor.client.chat import content_of
from exo_supervisor.client.errors import CutError, NoAnswerError
from exo_supervisor.client.http import OK, Response
from exo_supervisor.client.json_object import Fields

T = TypeVar("T")


class AsyncClient(Caller):
    """Asks one service; it may be shared by tasks. Every call raises AnswerError, as `Client`'s."""

    async def chat(self, messages: Messages, *, model: str, **more: object) -> Completion:
        return await self._ask(self.chat_request(messages, model, more), calls.read_completion)

    def stream(self, messages: Messages, *, model: str, **more: object) -> "AsyncStream":
        return AsyncStream(self, self.stream_request(messages, model, more))

    async def embeddings(
        self, texts: str | Sequence[str], *, model: str, **more: object
    ) -> list[list[float]]:
        return await self._ask(self.embeddings_request(texts, model, more), calls.read_vectors)

    async def models(self) -> list[Fields]:
        return await self._ask(self.get_request("/supervisor/models"), calls.read_models)

    async def status(self) -> Fields:
        return await self.look("/supervisor/status")

    async def look(self, path: str) -> Fields:
        return await self._ask(self.get_request(path), calls.read_view)

    async def place(self, name: str) -> Fields:
        return await self._ask(self.order_request(name, "place"), calls.read_model)

    async def remove(self, name: str) -> Fields:
        return await self._ask(self.order_request(name, "remove"), calls.read_model)

    async def release(self, target: str) -> Fields:
        return await self._ask(self.order_request(target, "auto", of="breakers"), calls.read_view)

    async def _ask(self, request: bytes, read: Callable[[Response, bytes], T]) -> T:
        response, parts = Response(), list[bytes]()
        async with aclosing(self.parts(request, response)) as coming:
            async for part in coming:
                parts.append(part)
                http.check_size(sum(map(len, parts)))
        return read(response, b"".join(parts))

    async def parts(self, request: bytes, response: Response) -> AsyncGenerator[bytes]:
        """Send a request and yield a good answer's body as it comes. Raises AnswerError."""
        until = anyio.current_time() + (float("inf") if self.timeout is None else self.timeout)
        async with await self._connect(until) as stream:
            try:
                await stream.send(request)
            except anyio.BrokenResourceError as error:
                raise NoAnswerError("the connection was closed") from error
            body = b""
            while not response.ended:
                body += await _receive(stream, response, until)
                http.check_size(len(body))
                if response.status == OK:
                    yield body
                    body = b""
            if response.status != OK:
                raise response.refused(body)

    async def _connect(self, until: float) -> ByteStream:
        tried: list[str] = []
        for address in self.addresses:
            try:
                with anyio.fail_after(min(http.CONNECT_TIMEOUT, until - anyio.current_time())):
                    if isinstance(address, str):
                        return await anyio.connect_unix(address)
                    return await anyio.connect_tcp(*address)
            except OSError as error:  # TimeoutError is one
                tried.append(f"{http.spelled(address)}: {http.reason_of(error)}")
        raise NoAnswerError("; ".join(tried))


class AsyncStream(Streaming):
    """A streamed answer: iterate over it for its text, over `chunks` for its events.

    It raises where the answer is not whole, and never ends quietly. To leave it early cancels the
    request at the service: the end of an `async with`, or of the task.
    """

    def __init__(self, client: AsyncClient, request: bytes) -> None:
        super().__init__()
        self._client, self._request = client, request
        self._coming: AsyncGenerator[Fields] | None = None

    async def __aiter__(self) -> AsyncGenerator[str]:
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                if text := content_of(chunk):
                    yield text

    def chunks(self) -> AsyncGenerator[Fields]:
        """Yield each event as it comes: OpenAI's `chat.completion.chunk`."""
        self._coming = coming = self._chunks()
        return coming

    async def _chunks(self) -> AsyncGenerator[Fields]:
        async with aclosing(self._client.parts(self._request, self.response)) as parts:
            async for part in parts:
                for chunk in self.take(part):
                    yield chunk
                if self.over:
                    return
        for chunk in self.end():
            yield chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._coming is not None:
            await self._coming.aclose()


async def _receive(stream: ByteStream, response: Response, until: float) -> bytes:
    """Wait for the next bytes and return those of the body."""
    try:
        with anyio.fail_after(until - anyio.current_time()):
            return response.feed(await stream.receive())
    except TimeoutError as error:
        if not response.status:
            raise NoAnswerError(http.reason_of(error)) from error
        raise CutError(http.reason_of(error)) from error
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        response.close()
        return b""
