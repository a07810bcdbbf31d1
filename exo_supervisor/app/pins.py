"""Where the nodes that a person trusts are kept: a file in the state directory."""

from pathlib import Path

import structlog
from anyio import to_thread
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.events import Event
from exo_supervisor.discovery.pins import Pins, PinWatch, decode_pins
from exo_supervisor.errors import SupervisorError
from exo_supervisor.host.kept import read_kept, write_kept

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("pins")

FILE = "pins.json"


async def read_pins(state: Path | None) -> Pins:
    """Read the pins of earlier runs; a file that cannot be read is worth a line, and no pin."""
    if state is None:
        return ()
    try:
        content = await to_thread.run_sync(read_kept, state / FILE)
        return () if content is None else decode_pins(content)
    except (OSError, SupervisorError) as fault:
        log.warning("pins_unreadable", why=str(fault), advice="trust the nodes anew")
        return ()


def pin_watch(state: Path | None, send: MemoryObjectSendStream[Event], pins: Pins) -> PinWatch:
    """Make the service that keeps pins; without a state directory they end with the process."""

    async def write(content: bytes) -> None:
        if state is None:
            raise SupervisorError("there is no state directory")
        await to_thread.run_sync(write_kept, state / FILE, content)

    return PinWatch(send, pins, write)
