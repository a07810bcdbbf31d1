"""The only writer of state: takes events in, one at a time, and carries the effects out.

Two doors lead here. The inbox is a channel for whoever needs no answer: discovery, listings. `ask`
is a synchronous call for the request path: same loop, same thread, no task switch. So is `hear` for
health, whose beats are most of what a house hears that is at rest.
"""

from collections import deque
from collections.abc import Callable
from math import inf

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from exo_supervisor.core.effects import Effect
from exo_supervisor.core.events import Event, Ticked
from exo_supervisor.core.machine import Machine
from exo_supervisor.errors import BrokenMachineError

INBOX = 1024
"""Events that may wait in the inbox; a full one makes its senders wait, never the conductor."""


class Conductor:
    """Turns the machine: on every event, and at every instant that it asks for.

    `perform` carries one effect out without waiting or raising; `beat` is called at each turn,
    and at least every `idle` seconds, which shows that the loop turns.
    """

    name = "conductor"

    def __init__(
        self,
        machine: Machine,
        inbox: MemoryObjectReceiveStream[Event],
        perform: Callable[[Effect], None],
        *,
        beat: Callable[[], None],
        idle: float,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._machine, self._inbox, self._perform = machine, inbox, perform
        self._beat, self._idle, self._clock = beat, idle, clock
        self._raised: deque[Event] = deque()
        self._busy = self._broken = False
        self._nap, self._wakes_at = anyio.CancelScope(), inf

    def ask(self, event: Event) -> None:
        """Take an event in and carry out what follows.

        An event that is raised while effects are carried out waits for its turn: the machine is
        never re-entered. Whatever breaks here, whoever asked, ends `run` too: a half-changed
        machine must not decide anything more.
        """
        if self._broken:
            raise BrokenMachineError("the machine is broken, and this process is ending")
        if self._busy:
            self._raised.append(event)
            return
        self._busy = True
        try:
            taken: Event | None = event
            while taken is not None:
                for effect in self._machine.handle(taken, self._clock()):
                    self._perform(effect)
                taken = self._raised.popleft() if self._raised else None
            self._busy = False
        finally:
            if self._busy:
                self._broken = True
                self._nap.cancel()
        due = self._machine.deadline()
        if due is not None and due < self._wakes_at:
            self._nap.deadline = self._wakes_at = due

    def hear(self, event: Event) -> None:
        """Take in what needs no answer, at once: to be woken costs more than most."""
        self.ask(event)
        self._beat()

    async def run(self) -> None:
        """Turn until cancelled. Raises BrokenMachineError, or what broke the machine."""
        while True:
            self._beat()
            until, due = anyio.current_time() + self._idle, self._machine.deadline()
            self._wakes_at = until if due is None else min(due, until)
            # One scope for all that comes until then: to make one costs more than most events.
            with anyio.CancelScope(deadline=self._wakes_at) as self._nap:
                while True:
                    self._turn(await self._inbox.receive())
                    self._beat()
            self._turn(Ticked())

    def _turn(self, event: Event) -> None:
        if self._broken:
            raise BrokenMachineError("the machine broke as it was asked; the log says where")
        self.ask(event)
