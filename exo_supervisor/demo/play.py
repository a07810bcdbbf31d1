"""One answer on its way to one client: performs the steps of its course."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal, Protocol

import anyio
from aiohttp import web

from exo_supervisor.demo.answers import Answer
from exo_supervisor.demo.course import course
from exo_supervisor.demo.diseases import Disease
from exo_supervisor.demo.steps import (
    Abort,
    Head,
    Hints,
    Idle,
    Mute,
    Pause,
    Raw,
    Reset,
    Step,
    UntilCured,
    Write,
)

LOADING_LOOK = 0.02
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
HINTS_AT_ONCE = 256
HINTS_LOOK = 0.001
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing the socket resets its connection (socket(7))."""


class Stage(Protocol):
    """The server that an answer is performed on."""

    reason: str | None
    pace: float
    keepalive_every: float

    def sent(self, tokens: int) -> None: ...
    def loading(self, model: str) -> bool: ...


@dataclass
class Stream:
    """One running answer, and what befell it from outside: an end, or to be forgotten."""

    id: str
    fate: Literal["runs", "ends", "forgotten"] = "runs"
    dropped: bool = False
    turned: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)

    def turn(self, fate: Literal["ends", "forgotten"]) -> None:
        self.fate = fate
        self.turned.set()


@dataclass
class Play:
    """One answer on its way to one client."""

    stage: Stage
    request: web.Request
    answer: Answer
    stream: Stream
    ill: Disease
    model: str
    response: web.StreamResponse | None = None
    sent: int = 0

    async def run(self) -> web.StreamResponse:
        steps = course(self.answer, self.ill, self.stage.pace)
        for step in steps:
            if self.stream.fate == "runs":
                await self._do(step)
            if self.stream.fate != "runs":
                await self._turned()
                break
        response = self.response or await self._head(Head(200, self.answer.content_type))
        await response.write_eof()
        return response

    async def _do(self, step: Step) -> None:
        match step:
            case Head():
                await self._head(step)
            case Write():
                await self._write(step)
            case Pause():
                await self._rest(step.seconds)
            case Idle():
                await self._rest(None)
            case UntilCured():
                await self._until_ready()
            case Mute():
                await anyio.sleep_forever()
            case Hints():
                await self._hint(step.count)
            case Raw() | Abort() | Reset():
                self._break_off(step)
                await anyio.sleep_forever()

    def _break_off(self, step: Raw | Abort | Reset) -> None:
        transport = self._transport()
        self.stream.dropped = True
        match step:
            case Raw():
                transport.write(step.data)
                transport.close()
            case Reset():
                under: socket.socket = transport.get_extra_info("socket")
                under.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
                transport.abort()
            case Abort():
                transport.abort()

    async def _hint(self, count: int | None) -> None:
        transport = self._transport()
        if count is not None:
            transport.write(HINT * count)
            return
        while not transport.is_closing():
            if transport.get_write_buffer_size() == 0:
                transport.write(HINT * HINTS_AT_ONCE)
            await anyio.sleep(HINTS_LOOK)

    def _transport(self) -> asyncio.Transport:
        if self.request.transport is None:
            raise ConnectionResetError
        return self.request.transport

    async def _head(self, step: Head) -> web.StreamResponse:
        headers = {"Content-Type": step.content_type}
        if self.answer.stream and step.length is None:
            headers["Cache-Control"] = "no-cache"
        response = web.StreamResponse(status=step.status, reason=self.stage.reason, headers=headers)
        for name, value in step.headers:
            response.headers.add(name, value)
        response.content_length = step.length
        if self.answer.closes:
            response.headers["X-Accel-Buffering"] = "no"
            response.force_close()
        self.response = response
        await response.prepare(self.request)
        return response

    async def _write(self, step: Write) -> None:
        if self.response is not None and step.data:
            await self.response.write(step.data)
        self.sent += step.tokens
        self.stage.sent(step.tokens)

    async def _keepalive(self) -> None:
        if self.answer.stream and self.answer.keepalive is not None:
            await self._write(Write(self.answer.keepalive))

    async def _rest(self, seconds: float | None) -> None:
        every = self.stage.keepalive_every
        left = float("inf") if seconds is None else seconds
        while left > 0 and self.stream.fate == "runs":
            with anyio.move_on_after(min(left, every)):
                await self.stream.turned.wait()
            left -= every
            if left > 0 and self.stream.fate == "runs":
                await self._keepalive()

    async def _until_ready(self) -> None:
        waited = 0.0
        while self.stage.loading(self.model) and self.stream.fate == "runs":
            await anyio.sleep(LOADING_LOOK)
            waited += LOADING_LOOK
            if waited >= self.stage.keepalive_every:
                waited = 0.0
                await self._keepalive()

    async def _turned(self) -> None:
        if self.stream.fate == "forgotten":
            while True:
                await anyio.sleep(self.stage.keepalive_every)
                await self._keepalive()
        if not self.answer.stream:
            await self._write(Write(self.answer.partial(self.sent)))
