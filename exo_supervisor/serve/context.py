"""What every exchange shares."""

import random
import time
from collections.abc import Callable

from msgspec import Struct, field

from exo_supervisor.core.events import Event
from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.serve.room import Room
from exo_supervisor.serve.upstream import Upstream


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
