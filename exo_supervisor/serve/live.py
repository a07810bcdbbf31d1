"""Every request that is under way: the core's orders find theirs here, and time goes round them.

The conductor performs effects here, and must not run a request's own code meanwhile: it would ask
the core again in the midst of its effects. So an order that answers a request's own question waits
for that to return, and every other one for the loop's next turn.

One ticker serves all. A timer of a request may so be late by a tick; only its client's own deadline
has a timer of its own.
"""

from collections.abc import Callable
from typing import Protocol

from exo_supervisor.core.effects import CancelAttempt, KeepAwake, Refuse, StartAttempt
from exo_supervisor.core.names import RequestId, Target
from exo_supervisor.serve.exchange import Exchange, Order
from exo_supervisor.wire.chat.reader import Reader

_ANSWERS = StartAttempt, Refuse
"""What the core may say to a request's own question."""
TICK = 0.25
"""Seconds between two looks at the timers of all requests."""
TURNS = 3
"""Turns of the loop in which bytes that wait in sockets are read before a timer judges: uvloop
looks at its timers before it polls."""


class Timer(Protocol):
    """Something that happens later, unless it is cancelled."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """What an event loop gives."""

    def call_soon(self, callback: Callable[[], None]) -> object: ...
    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer: ...


class Live(Protocol):
    """One request under way; none of its methods raises."""

    @property
    def exchange(self) -> Exchange | None: ...

    def take(self, order: Order) -> None:
        """Do as the core says."""
        ...

    def due(self, now: float) -> bool | None:
        """Look at all timers; true: look again once waiting bytes were read."""
        ...


class LiveRequests:
    """Owns the table of them; each is here from its head to its end."""

    def __init__(self, loop: Loop, clock: Callable[[], float]) -> None:
        self._loop, self._clock = loop, clock
        self._live: dict[str, Live] = {}
        self._ticks = False

    def __len__(self) -> int:
        return len(self._live)

    def add(self, request: str, live: Live) -> None:
        """Begin to look at a request's timers."""
        self._live[request] = live
        if not self._ticks:
            self._ticks = True
            self._loop.call_later(TICK, self._tick)

    def remove(self, request: str) -> None:
        """Forget a request that is over."""
        del self._live[request]

    def look_at(self, live: Live, when: float) -> Timer:
        """Have a request's timers looked at, at this very instant."""

        def look() -> None:
            self._look([live], max(when, self._clock()))

        return self._loop.call_later(max(0.0, when - self._clock()), look)

    def deliver(self, effect: StartAttempt | Refuse | CancelAttempt | KeepAwake) -> None:
        """Hand an effect to its request, if that is still there."""
        live = self._live.get(effect.request)
        exchange = None if live is None else live.exchange
        if live is None or exchange is None:
            return
        if exchange.asking and isinstance(effect, _ANSWERS):
            exchange.take(effect)
        else:
            self._loop.call_soon(lambda: live.take(effect))

    def lived_at(self, target: Target) -> float | None:
        """Return when an answer of a target that is under way made progress last."""
        exchanges = (live.exchange for live in self._live.values())
        attempts = (each.attempt for each in exchanges if each is not None)
        lived = (
            each.relay.lived_at
            for each in attempts
            if each is not None and each.start.target == target
        )
        return max((at for at in lived if at is not None), default=None)

    def reading(self, request: RequestId) -> Reader | None:
        """Return what reads a request's answer now."""
        live = self._live.get(request)
        attempt = None if live is None or live.exchange is None else live.exchange.attempt
        return None if attempt is None else attempt.relay.reading

    def tokens(self, request: RequestId) -> int:
        """Count the tokens of an answer that have come by now."""
        reading = self.reading(request)
        return 0 if reading is None else reading.tokens

    def _tick(self) -> None:
        self._ticks = bool(self._live)
        if self._ticks:
            self._loop.call_later(TICK, self._tick)
            self._look(list(self._live.values()), self._clock())

    def _look(self, requests: list[Live], now: float, turns: int = TURNS) -> None:
        """Look at each; at those that ask for it once more, when waiting bytes were read.

        Should one's last resort fail, too, its crash goes to the loop, and the others are looked at
        all the same.
        """
        rest, again = iter(requests), list[Live]()
        try:
            again.extend(each for each in rest if each.due(now))
        finally:
            if again and turns:
                self._wait(again, turns)
            if others := list(rest):
                self._look(others, now, turns)

    def _wait(self, requests: list[Live], turns: int) -> None:
        if turns:
            self._loop.call_soon(lambda: self._wait(requests, turns - 1))
        else:
            self._look(requests, self._clock(), turns=0)
