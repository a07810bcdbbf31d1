"""What every exchange shares."""

import random
import time
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from secrets import token_bytes

from msgspec import Struct, field

from exo_supervisor.core.books.book import Prices
from exo_supervisor.core.books.price import Price
from exo_supervisor.core.events import Event
from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.serve.room import Room
from exo_supervisor.serve.upstream import Upstream
from exo_supervisor.views.booked import Reservation

BeginEnergy = Callable[[str], Callable[[], int | None]]
"""Begins to count what an attempt at a node draws; what it returns ends it and tells the cost."""


class Context(Struct, frozen=True):
    """What an exchange asks of, and the clocks and chances that a test may set.

    `total` are the seconds for an answer to begin in, `head` those after which a stream that still
    waits gets its head.
    """

    ask: Callable[[Event], None]
    upstream: Upstream
    total: float
    head: float
    room: Room = field(default_factory=Room)
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    wall: Callable[[], float] = time.time
    hide: Callable[[str], str] = hide_shapes
    """Takes our keys, and what looks like one, out of a target's words."""
    prices: Prices = field(default_factory=lambda: Prices({}, {}))
    reference: tuple[str, str] | None = None
    """The provider and the model whose price is saved where Exo answers."""
    energy: BeginEnergy | None = None
    salt: bytes = field(default_factory=lambda: token_bytes(16))
    """A secret of ours: what is remembered of a conversation names it to nobody."""
    reserve: Callable[[Reservation, Callable[[], None]], None] | None = None
    """Writes down what an attempt may cost, and calls back, once, when it may begin."""

    def price_of(self, provider: str, model: str) -> Price | None:
        """Return what a model costs at a provider today."""
        return self.prices.of(provider, model, _day(int(self.wall()) // 86_400))

    def number_of(self, session: str, client: str) -> int:
        """Return what stands for a conversation of one client's; never 0."""
        name = f"{client} {session}".encode(errors="replace")
        return 1 + int.from_bytes(blake2b(name, digest_size=7, key=self.salt).digest())


@lru_cache(maxsize=2)
def _day(since_1970: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=since_1970)).isoformat()
