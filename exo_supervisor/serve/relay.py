"""Carries one answer from a target to a client, under the timers of its attempt.

The hot loop reads, translates and writes, and does nothing else per token: timers are looked at
only when the earliest of them may be due, by a scope around the loop. Only progress of the model
resets them; comments of the transport do not.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

import anyio
import anyio.lowlevel
from msgspec import Struct

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.events import AttemptQuieted, ContentSeen, Event
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.mailbox import Mailbox
from exo_supervisor.serve.room import Share
from exo_supervisor.wire.openai.reader import Reading

MOST_HELD = 64 * 2**20
"""Bytes of an answer that are kept back until all of it is in."""
AGAIN = 10.0
"""Seconds from one question about a silent attempt to the next."""
STEP = 4096
"""Tokens of a prompt that Exo reads in one step; it tells how far it is between two of them."""
PATIENCE = 3.0
"""How many times as long as the last step the next one may take."""
KEEP_ALIVE = b": keep-alive\n\n"
LAST_LOOK = 2
"""Turns of the loop in which bytes that wait in a socket are read before a timer judges."""
SLOW_CLIENT = 60.0
"""Seconds for which a client may leave what it was sent unread before it counts as gone."""


class Source(Protocol):
    """A body that is read piece by piece; nothing is its clean end."""

    async def read(self) -> bytes:
        """Read what is there; raises UpstreamError."""
        ...


class Translator(Protocol):
    """Turns a target's bytes into the client's."""

    @property
    def held(self) -> int:
        """How many bytes of the answer it holds."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes in and return what the client gets for them."""
        ...

    def close(self) -> bytes:
        """Take the clean end in and return the client's tail."""
        ...


class Sink(Protocol):
    """A client that streams."""

    async def begin(self) -> None:
        """Commit: the first content is about to be written."""
        ...

    async def write(self, data: bytes) -> None:
        """Write a part: take it at once, and then wait only for a slow client."""
        ...

    async def finish(self, data: bytes) -> None:
        """Write the last part, and end the answer as a whole one."""
        ...

    async def drain(self) -> None:
        """Wait until a slow client has read what it was sent."""
        ...


class Bounds(Struct, frozen=True):
    """When an attempt began, and when its request's time is up: `until` its commit, and after."""

    began: float
    until: float
    limit: float = inf
    committed: bool = False
    """The client has a part of the answer already, and this attempt goes on with it."""
    share: Share | None = None
    """What the answer takes of the room for all of them."""


class Relay:
    """One attempt's answer on its way; `sink` is None for a client that gets it whole."""

    def __init__(
        self,
        start: StartAttempt,
        reading: Reading,
        sink: Sink | None,
        mailbox: Mailbox,
        ask: Callable[[Event], None],
        bounds: Bounds,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._start, self._reading, self._sink = start, reading, sink
        self._mailbox, self._ask = mailbox, ask
        self._until, self._limit = bounds.until, bounds.limit
        self._clock = clock
        self._share = bounds.share
        self.began = bounds.began
        self._progress_at = self._clock()
        self._asked_at = self._looked_at = -inf
        self._prefilled, self._step = 0, 0.0
        self._writing = False
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._roomless = 0
        self.committed, self.finished = bounds.committed, False
        self.ttft: float | None = None
        self._head = 0.0

    async def carry(self, source: Source, translator: Translator) -> Fault:
        """Carry the answer to its end; NONE means that it was whole.

        Raises what the source and the sink raise.
        """
        self._head = self._clock() - self.began
        while True:
            if self._mailbox.cancelled is not None:
                return self._mailbox.cancelled
            with anyio.CancelScope(deadline=self._due()) as scope:
                self._mailbox.scope = scope
                if self._mailbox.keep_awake:
                    await self._keep_awake()
                if await self._flow(source, translator):
                    return self._reading.fault or Fault.NONE  # a slow client may have hidden it
            if self._mailbox.cancelled is not None:
                return self._mailbox.cancelled
            if self._roomless:
                fault = await self._wait_for_room()
            elif self._writing:
                fault = await self._wait_for_client()
            else:
                fault = self._look_at_timers()
                if fault is not None and await self._look_once_more():
                    continue
            if fault is not None:
                return fault

    async def _look_once_more(self) -> bool:
        """Let bytes be read that wait in the socket, once for each silence.

        A process that was stopped, or swapped out, finds them and its timers due together.
        """
        if self._looked_at == self._progress_at:
            return False
        self._looked_at = self._progress_at
        for _ in range(LAST_LOOK):
            await anyio.lowlevel.checkpoint()
        return True

    async def _flow(self, source: Source, translator: Translator) -> bool:
        """Carry on to the end; False where there is no room for more of the answer."""
        reading, seen = self._reading, self._reading.progressed
        while reading.fault is None and not (reading.done or reading.enough):
            if not self._has_room(translator):
                return False
            data = await source.read()
            out = translator.feed(data) if data else translator.close()
            if reading.progressed != seen:
                seen = reading.progressed
                self._progress()
            if reading.fault is not None and not self.committed:
                break
            if reading.content and self.ttft is None:
                self._see_content()
            if out:
                await self._write(out, last=reading.done and reading.fault is None)
            if not data:
                break
        if reading.fault is None and not reading.done:
            fault = Fault.UNFINISHED if reading.content else Fault.EMPTY
            reading.fail(fault, "the answer ended without an end")
        return True

    def _progress(self) -> None:
        """Note a sign of the model's work, and of its node's life."""
        now = self._clock()
        if self._reading.processed != self._prefilled and self.ttft is None:
            took, read = now - self._progress_at, self._reading.processed - self._prefilled
            self._prefilled, self._step = self._reading.processed, took * STEP / max(1, read)
        self._progress_at = self._mailbox.lived_at = now

    def _see_content(self) -> None:
        self.ttft = self._clock() - self.began
        start = self._start
        self._ask(
            ContentSeen(
                request=start.request, attempt=start.attempt, ttft=self.ttft, head=self._head
            )
        )
        self._pull_in()

    def _pull_in(self) -> None:
        """Bring the scope's deadline forward: a timer may now be due before what it waits for."""
        scope = self._mailbox.scope
        if scope is not None and (due := self._due()) < scope.deadline:
            scope.deadline = due

    async def _keep_awake(self) -> None:
        """Show a client in the middle of its answer that somebody is at work on the rest."""
        self._mailbox.keep_awake = False
        if self._sink is None or not self.committed or self.finished:
            return
        self._writing = True
        await self._sink.write(KEEP_ALIVE)
        self._writing = False

    async def _write(self, data: bytes, *, last: bool) -> None:
        if self._sink is None:
            return
        if self._start.hold:
            self._keep(data)
            if not last or self._reading.fault is not None:
                return
            data = b"".join(self._kept)
            self._kept.clear()  # a slow client may take long over it: one copy is enough
        self._writing = True
        if not self.committed:
            self.committed = True
            with anyio.CancelScope(shield=True):  # a head is written whole or not at all
                await self._sink.begin()
        if last:
            self.finished = True
            await self._sink.finish(data)
        else:
            await self._sink.write(data)
        self._writing = False

    def _keep(self, data: bytes) -> None:
        """Keep a part back: until all of the answer is in, another target may still give it."""
        self._kept.append(data)
        self._kept_size += len(data)
        if self._kept_size > MOST_HELD:
            self._reading.fail(Fault.OVERSIZED, f"the answer is larger than {MOST_HELD} bytes")

    def _has_room(self, translator: Translator) -> bool:
        """Say whether more may be read; what is kept is copied once, when it is told at last."""
        held = translator.held + 2 * self._kept_size
        self._roomless = 0 if self._share is None or self._share.fits(held) else held
        return not self._roomless

    async def _wait_for_room(self) -> Fault | None:
        """Wait until other answers have made room: nothing is read, and no target is to blame."""
        until = min(self._clock() + self._start.timers.stall, self._time_is_up())
        with anyio.CancelScope(deadline=until) as scope:
            self._mailbox.scope = scope
            if self._share is not None:
                await self._share.wait(self._roomless)
        self._roomless = 0
        self._progress_at = self._clock()
        if self._mailbox.cancelled is not None:
            return self._mailbox.cancelled
        if not scope.cancelled_caught:
            return None
        return Fault.DEADLINE if until == self._time_is_up() else Fault.OVERLOADED

    async def _wait_for_client(self) -> Fault | None:
        """Wait until a slow client has read what it was sent: that time is not the target's."""
        self._writing = False
        patience = self._clock() + SLOW_CLIENT
        until = min(patience, self._time_is_up())
        while self._clock() < until:
            with anyio.CancelScope(deadline=until) as scope:
                self._mailbox.scope = scope
                if self._sink is not None:
                    await self._sink.drain()
            if self._mailbox.cancelled is not None:
                return self._mailbox.cancelled
            self._progress_at = self._clock()
            if not scope.cancelled_caught:
                return None
        return Fault.CLIENT_LEFT if until == patience else Fault.DEADLINE

    def _due(self) -> float:
        """Tell when a timer may have run out; progress made by then moves it on."""
        return min(self._hard(), self._quiet(), self._time_is_up())

    def _hard(self) -> float:
        """Tell when this attempt fails if nothing more comes."""
        timers, begun = self._start.timers, self.ttft is not None
        if self._start.generation in (None, "A"):
            return self._progress_at + timers.stall if begun else self.began + timers.first_content
        most = timers.first_content_max
        if self._prefilled and not begun:  # it says how far it is: standing still is telling
            most = min(most, max(timers.first_content, PATIENCE * self._step))
        return self._progress_at + most

    def _quiet(self) -> float:
        """Tell when the state is asked whether this attempt can still finish.

        And when it is told that the time has come in which nobody has to vouch for it.
        """
        if self._start.generation is None:
            return inf
        timers, begun = self._start.timers, self.ttft is not None
        alone = self._progress_at + (timers.stall if begun else timers.first_content)
        due = self._asked_at + AGAIN
        if self._asked_at < self._progress_at:
            half = timers.stall / 2
            sooner = half if begun or timers.quiet is None else min(half, timers.quiet)
            due = self._progress_at + sooner
        return min(alone, due) if self._asked_at < alone else due

    def _time_is_up(self) -> float:
        return self._limit if self.committed else self._until

    def _look_at_timers(self) -> Fault | None:
        now = self._clock()
        if now >= self._time_is_up():
            return Fault.DEADLINE
        if now >= self._hard():
            return Fault.STALL if self.ttft is not None else Fault.FIRST_CONTENT_TIMEOUT
        if now >= self._quiet():
            self._asked_at = now
            self._ask(
                AttemptQuieted(
                    request=self._start.request,
                    attempt=self._start.attempt,
                    silence=now - self._progress_at,
                    begun=self.ttft is not None,
                )
            )
        return None
