"""The load generator, in a process of its own: one job a line in, what came of it a line out."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

from tests.benchmarks.answers import text

PATIENCE = 30.0
"""Seconds after which a job whose answers do not come is given up."""


class Job(Struct, frozen=True):
    """What to ask, over how many connections, and for how long.

    With `seconds` the connections ask again and again; without, each asks once, and their
    beginnings are spread over `spread` seconds.
    """

    at: str
    path: str
    body: str
    tokens: int
    stream: bool
    connections: int
    seconds: float = 0.0
    spread: float = 0.0


class Outcome(Struct, frozen=True):
    """What came of a job; times in seconds, `cpu` is the generator's own."""

    done: int
    failed: int
    elapsed: float
    cpu: float
    latencies: list[float]
    firsts: list[float]
    """Until the first content."""
    why: str = ""


class _Run:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.until = 0.0
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.failed = 0
        self.why = ""
        self.over = asyncio.Event()
        self._running = job.connections
        head = f"POST {job.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        body = job.body.encode()
        self.request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def count(self, latency: float, answer: bytearray, body: int) -> None:
        self.latencies.append(latency)
        if not _is_whole(self.job, answer, body):
            self.fail("an answer that is not whole: " + answer[:400].decode(errors="replace"))

    def fail(self, why: str) -> None:
        self.failed += 1
        self.why = self.why or why

    def leave(self) -> None:
        self._running -= 1
        if not self._running:
            self.over.set()


class _Client(asyncio.Protocol):
    """One connection; asks as soon as it has its answer."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._answer = bytearray()
        self._body = self._end = 0
        self._began = 0.0
        self._asking = self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def ask(self) -> None:
        self._answer.clear()
        self._body = self._end = 0
        self._asking, self._begun = True, False
        self._began = time.perf_counter()
        if self._transport is not None:
            self._transport.write(self._run.request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._begun and b'"content":"dog ' in data:
            self._begun = True
            self._run.firsts.append(time.perf_counter() - self._began)
        if not self._body and not self._read_head():
            return
        if self._end:
            if len(self._answer) < self._end:
                return
        elif not self._answer.endswith(b"\r\n0\r\n\r\n"):
            return
        now = time.perf_counter()
        self._run.count(now - self._began, self._answer, self._body)
        self._asking = False
        if now < self._run.until:
            self.ask()
        else:
            self._run.leave()

    def _read_head(self) -> bool:
        end = self._answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._body = end + 4
        head = bytes(self._answer[:end]).lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if found:
            self._end = self._body + int(rest.partition(b"\r\n")[0])
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asking:
            self._asking = False
            self._run.fail(f"a connection that broke: {exc!r}")
            self._run.leave()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Message(Struct):
    content: str


class _Choice(Struct):
    message: _Message
    finish_reason: str


class _Completion(Struct):
    choices: list[_Choice]


_completion = msgspec.json.Decoder(_Completion)


def _is_whole(job: Job, answer: bytearray, body: int) -> bool:
    if not answer.startswith(b"HTTP/1.1 200 "):
        return False
    if job.stream:
        told = answer.count(b'"content":"dog "')
        ended = answer.count(b'"finish_reason":"stop"') == 1 and b"data: [DONE]\n\n" in answer
        return told == job.tokens and ended
    try:
        choice = _completion.decode(answer[body:]).choices[0]
    except (msgspec.DecodeError, IndexError):
        return False
    return choice.message.content == text(job.tokens) and choice.finish_reason == "stop"


async def _perform(job: Job) -> Outcome:
    loop = asyncio.get_running_loop()
    run = _Run(job)
    make: Callable[[], _Client] = lambda: _Client(run)  # noqa: E731 -- a factory, for its type
    clients = [await _connect(loop, make, job.at) for _ in range(job.connections)]
    cpu, began = time.process_time(), time.perf_counter()
    run.until = began + job.seconds
    for place, client in enumerate(clients):
        loop.call_later(job.spread * place / job.connections, client.ask)
    try:
        async with asyncio.timeout(job.seconds + job.spread + PATIENCE):
            await run.over.wait()
    except TimeoutError:
        run.fail("an answer that did not come")
    elapsed, used = time.perf_counter() - began, time.process_time() - cpu
    for client in clients:
        client.close()
    done = len(run.latencies)
    return Outcome(done, run.failed, elapsed, used, run.latencies, run.firsts, run.why)


async def _connect(
    loop: asyncio.AbstractEventLoop, make: Callable[[], _Client], at: str
) -> _Client:
    if at.startswith("/"):
        return (await loop.create_unix_connection(make, at))[1]
    host, _, port = at.partition(":")
    return (await loop.create_connection(make, host, int(port)))[1]


def main() -> None:
    """Do the jobs that standard input names until it ends."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin.buffer:
            outcome = runner.run(_perform(msgspec.json.decode(line, type=Job)))
            sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
