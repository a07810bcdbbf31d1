"""A target that is asked over a real connection, and awaited."""

import asyncio
from collections.abc import Mapping

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.http.faults import HttpError
from exo_supervisor.serve.error_answer import ErrorAnswer, readable
from exo_supervisor.serve.interfaces import Call
from exo_supervisor.serve.upstream import Failure, Upstream, broken_fault
from exo_supervisor.wire.chat.request import ChatRequest


class FailedError(Exception):
    """A target gave no answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.fault)
        self.fault, self.retry_after = failure.fault, failure.retry_after


class Opened:
    """An answer whose head was good."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[tuple[int, Mapping[str, str]] | bytes | HttpError] = (
            asyncio.Queue()
        )
        self.call: Call | None = None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.said.put_nowait((status, headers))

    def data(self, data: bytes) -> None:
        self.said.put_nowait(data)

    def end(self) -> None:
        self.said.put_nowait(b"")

    def lost(self, error: HttpError) -> None:
        self.said.put_nowait(error)

    async def read(self) -> bytes:
        said = await self.said.get()
        if isinstance(said, HttpError):
            raise FailedError(Failure(broken_fault(said)))
        assert isinstance(said, bytes)
        return said

    def leave(self) -> None:
        assert self.call is not None
        self.call.leave()

    def close(self) -> None:
        if self.call is not None:
            self.call.close()


async def opened(upstream: Upstream, start: StartAttempt, chat: ChatRequest) -> Opened:
    """Send a chat and wait for a good head; raises FailedError."""
    answer = Opened()
    answer.call = upstream.send(start, chat, answer)
    assert answer.call is not None
    said = await answer.said.get()
    if isinstance(said, HttpError):
        raise FailedError(upstream.not_opened(said))
    assert isinstance(said, tuple)
    if readable(*said) is None:
        answer.close()
        raise FailedError(ErrorAnswer(*said).judge(exo=start.generation is not None))
    return answer
