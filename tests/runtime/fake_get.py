"""The network's border in virtual time: URLs with scripted answers, and a note of every GET."""

from collections.abc import Callable, Mapping

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from msgspec import structs

from exo_supervisor.core.events import Event, PlacementRead
from exo_supervisor.runtime.fetch import NO_HEADERS, GetError
from exo_supervisor.wire.exo.identity import HttpAnswer

MISSING = HttpAnswer(404, b'{"detail":"Not Found"}')


async def note(inbox: MemoryObjectReceiveStream[Event], into: list[tuple[float, Event]]) -> None:
    """Receive for ever, and note each event with its instant."""
    while True:
        event = await inbox.receive()
        into.append((anyio.current_time(), undated(event)))


def noting(into: list[tuple[float, Event]]) -> Callable[[Event], None]:
    """Make what is told of events, and notes each with its instant."""
    return lambda event: into.append((anyio.current_time(), undated(event)))


def undated(event: Event) -> Event:
    """Leave out when a reading began: a test of its own looks at that."""
    return structs.replace(event, asked_at=None) if isinstance(event, PlacementRead) else event


class FakeGet:
    """Answers each URL with what it was told to, after its delay; any other URL is a 404."""

    def __init__(self) -> None:
        self.answers: dict[str, HttpAnswer | GetError] = {}
        self.delays: dict[str, float] = {}
        self.asked: list[tuple[float, str]] = []
        self.headers: list[Mapping[str, str]] = []

    def say(self, url: str, body: bytes | str, status: int = 200) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.answers[url] = HttpAnswer(status, data)

    async def __call__(
        self,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see Get
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> HttpAnswer:
        self.asked.append((anyio.current_time(), url))
        self.headers.append(headers)
        try:
            with anyio.fail_after(timeout):
                await anyio.sleep(self.delays.get(url, 0.0))
        except TimeoutError:
            raise GetError("timeout", "no answer in time") from None
        answer = self.answers.get(url, MISSING)
        if isinstance(answer, GetError):
            raise answer
        if len(answer.body) > limit:
            raise GetError("bad_answer", "too long")
        return answer
