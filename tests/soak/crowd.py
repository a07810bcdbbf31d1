"""The clients of a house under soak: each asks, is answered or leaves, and asks again."""

from collections import Counter
from contextlib import suppress
from random import Random

import anyio
from msgspec import Struct, field

from exo_supervisor.rehearse.drill.witness import ask, chat, judge
from tests.soak.house import MODEL, House

SOONEST = 0.05
"""Seconds after which the first client may leave: by then it has asked."""
PATIENCE = 60.0
"""Seconds after which a client that was told nothing would have waited for ever."""


class Tally(Struct):
    """What came of it all: `sent` requests, and how each ended, as its client saw it."""

    sent: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    breaches: list[str] = field(default_factory=list[str])


async def visit(house: House, tally: Tally, dice: Random, stop: anyio.Event) -> None:
    """Be one client after another until it is time to stop."""
    while not stop.is_set():
        stream = dice.random() < 0.7
        headers = {name: value for name, value, share in _WISHES if dice.random() < share}
        request = chat(MODEL, stream=stream, headers=headers)
        tally.sent += 1
        if dice.random() < 0.15:
            await _leave(house, request, dice)
            tally.ends["left"] += 1
            continue
        with anyio.move_on_after(PATIENCE) as waited:
            verdict = judge(await ask(house.socket, request), stream=stream)
            tally.ends["cut" if verdict.cut else verdict.code or verdict.kind] += 1
            if verdict.kind == "neither":
                tally.breaches.append(verdict.why)
        if waited.cancelled_caught:
            tally.breaches.append(f"no answer within {PATIENCE:.0f} s")


async def _leave(house: House, request: bytes, dice: Random) -> None:
    async with await anyio.connect_unix(house.socket) as client:
        await client.send(request)
        with (
            anyio.move_on_after(SOONEST + dice.expovariate(3.0)),
            suppress(anyio.EndOfStream, anyio.BrokenResourceError),
        ):
            while True:
                await client.receive()


_WISHES = (
    ("x-supervisor-privacy", "local_only", 0.1),
    ("x-supervisor-deadline", "0.5", 0.1),
    ("x-supervisor-route", "cloud", 0.05),
)
